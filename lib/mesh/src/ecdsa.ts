import { MeshError } from './errors.ts'

/**
 * ECDSA signatures are a DER SEQUENCE of two INTEGERs in X.509 (RFC 3279 §2.2.3) and two fixed-width octet
 * strings in JOSE (RFC 7518 §3.4). `width` is the size of one number: 32 for P-256, 48 for P-384.
 */
export function derToRaw(der: Uint8Array, width: number): Uint8Array {
  const [tag, length, ...rest] = der
  if (tag !== 0x30 || length === undefined || length > 0x7f || length !== rest.length) return notDer()
  const r = readInteger(der, 2, width)
  const s = readInteger(der, r.end, width)
  if (s.end !== der.length) return notDer()
  const raw = new Uint8Array(2 * width)
  raw.set(r.value, width - r.value.length)
  raw.set(s.value, 2 * width - s.value.length)
  return raw
}

/** @throws {MeshError} `jws_malformed` when the signature does not have exactly two numbers of `width` octets */
export function rawToDer(raw: Uint8Array, width: number): Uint8Array {
  if (raw.length !== 2 * width) throw new MeshError('jws_malformed', 'the signature has the wrong length')
  const body = [...integer(raw.subarray(0, width)), ...integer(raw.subarray(width))]
  return Uint8Array.from([0x30, body.length, ...body])
}

function readInteger(der: Uint8Array, at: number, width: number): { value: Uint8Array; end: number } {
  const length = der[at + 1]
  if (der[at] !== 0x02 || length === undefined || length === 0) return notDer()
  const end = at + 2 + length
  if (end > der.length) return notDer()
  const content = der.subarray(at + 2, end)
  const value = content[0] === 0 ? content.subarray(1) : content
  if (value.length > width) return notDer()
  return { value, end }
}

/** Minimal and positive. At most 49 octets, so that one length octet is enough. */
function integer(bytes: Uint8Array): number[] {
  const first = bytes.findIndex((octet) => octet !== 0)
  const trimmed = first === -1 ? [0] : [...bytes.subarray(first)]
  const content = (trimmed[0] ?? 0) > 0x7f ? [0, ...trimmed] : trimmed
  return [0x02, content.length, ...content]
}

/** Our own signer gave it: a mistake of the program, not of a peer. */
function notDer(): never {
  throw new TypeError('not a DER Ecdsa-Sig-Value')
}
