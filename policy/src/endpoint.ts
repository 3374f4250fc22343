/**
 * An absolute https, http or tcp URL under which callers ask. Credentials, fragments and anything the URL parser
 * would silently repair (blanks, backslashes, missing slashes) are not one; tcp needs a port and has no path.
 */
export function isEndpoint(text: string): boolean {
  if (text.length > 2_048 || !/^(?:https?|tcp):\/\/[!-~]+$/.test(text) || text.includes('\\')) return false
  const url = URL.parse(text)
  if (url === null || url.hostname === '' || url.username !== '' || url.password !== '' || text.includes('@'))
    return false
  if (text.includes('#')) return false
  return url.protocol !== 'tcp:' || (url.port !== '' && url.pathname === '' && url.search === '')
}

/** Fit to be shown: what stands before an `@` may be a password. */
export function withoutCredentials(text: string): string {
  return text.replace(/^.*@/s, '…@')
}
