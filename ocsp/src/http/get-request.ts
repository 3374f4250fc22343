/** Longest path, percent signs and all, that is looked at. */
export const MAX_GET_CHARACTERS = 8192

/**
 * The OCSPRequest in the path of a GET, or undefined where there is none: `GET {url}/{url-encoding of base-64 encoding of the
 * DER encoding of the OCSPRequest}` (RFC 6960 §A.1).
 *
 * The path is taken as it came and never normalised: base64 contains `/`, also `//`. Clients escape it or do not, so `+`, `%2B`
 * and `%20` (a plus that somebody took for a space) all mean plus, and one slash too many before it is left out. The alphabet
 * for URLs (`-`, `_`) is not what the RFC says, and is refused.
 *
 * @param path What follows the responder's own path.
 */
export function requestInPath(path: string): Uint8Array | undefined {
  const text = unescaped(path.startsWith('/') ? path.slice(1) : path)
  const base64 = text?.startsWith('/') === true ? text.slice(1) : text
  if (base64 === undefined || base64.length % 4 !== 0 || !BASE64.test(base64)) return undefined
  return Buffer.from(base64, 'base64')
}

function unescaped(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text).replaceAll(' ', '+')
  } catch {
    return undefined
  }
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/
