import { type KeyObject, sign } from 'node:crypto'
import { canonicalJson } from '@vcc/mesh'
import type { Random } from '../random.ts'
import { mutateBytes } from './bytes.ts'
import { mutateDer } from './der.ts'
import { deepJson, mutateJson } from './json.ts'

/** A key that a receiver trusts: what it signs is looked at to the end. */
export interface FuzzSigner {
  readonly key: KeyObject
  readonly hash: 'sha256' | 'sha384'
}

/**
 * A compact JWS that begins as a real one. Header, certificates, payload, signature or their joints are changed; with a
 * `signer`, half of those whose text is whole are signed anew.
 */
export function mutateJws(corpus: readonly string[], random: Random, signer: FuzzSigner | undefined): string {
  const jws = random.some(corpus) ?? ''
  const [header = '', payload = '', signature = ''] = jws.split('.')
  switch (random.int(8)) {
    case 0:
      return torn([header, payload, signature], corpus, random)
    case 1:
      return [header, payload, base64Url(mutateBytes(fromBase64Url(signature), random))].join('.')
    case 2:
      return signed(jsonPart(mutateJson(jsonOf(header), random), random), payload, signature, random, signer)
    case 3:
      return signed(withCertificates(jsonOf(header), random), payload, signature, random, signer)
    case 4:
      return signed(header, base64Url(mutateBytes(fromBase64Url(payload), random)), signature, random, signer)
    default:
      return signed(header, jsonPart(mutateJson(jsonOf(payload), random), random), signature, random, signer)
  }
}

function signed(
  header: string,
  payload: string,
  signature: string,
  random: Random,
  signer: FuzzSigner | undefined,
): string {
  const input = `${header}.${payload}`
  if (signer === undefined || random.oneIn(2)) return `${input}.${signature}`
  const made = sign(signer.hash, Buffer.from(input, 'latin1'), { key: signer.key, dsaEncoding: 'ieee-p1363' })
  return `${input}.${made.toString('base64url')}`
}

function torn(parts: readonly string[], corpus: readonly string[], random: Random): string {
  const foreign = (random.some(corpus) ?? '').split('.')
  const text = random.pick([
    () => parts.toSpliced(random.int(3), 1).join('.'),
    () => parts.toSpliced(random.int(4), 0, '').join('.'),
    () => parts.with(random.int(3), foreign[random.int(3)] ?? '').join('.'),
    () => parts.map((part) => `${part}=`).join('.'),
    () => `${parts.join('.')}${random.pick(['\n', ' ', '.', '=', '\u0000', 'ä'])}`,
    () => parts.join(random.pick(['..', ' .', '+', ''])),
  ])()
  return random.oneIn(4) ? new TextDecoder('latin1').decode(mutateBytes(Buffer.from(text), random)) : text
}

function withCertificates(header: unknown, random: Random): string {
  const { x5c, ...rest } = header as { x5c?: unknown }
  const list = Array.isArray(x5c) ? x5c.map(String) : []
  const der = list.map((one) => new Uint8Array(Buffer.from(one, 'base64')))
  const changed = list.toSpliced(random.int(list.length + 1), 1, Buffer.from(mutateDer(der, random)).toString('base64'))
  return base64Url(canonicalJson({ ...rest, x5c: random.oneIn(3) ? changed.toReversed() : changed }))
}

/** In canonical form nearly always: anything else is refused before it is looked at. */
function jsonPart(value: unknown, random: Random): string {
  if (random.oneIn(64)) return base64Url(deepJson(random))
  try {
    return base64Url(random.oneIn(16) ? JSON.stringify(value, undefined, 1) : canonicalJson(value))
  } catch {
    return base64Url(JSON.stringify(value) ?? '') // what RFC 8785 has no form for
  }
}

function jsonOf(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
}

function base64Url(data: string | Uint8Array): string {
  return Buffer.from(data).toString('base64url')
}

function fromBase64Url(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'))
}
