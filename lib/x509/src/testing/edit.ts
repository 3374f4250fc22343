import { encodeAlgorithm, type SignatureAlgorithmName } from '../algorithm.ts'
import { oid } from '../der/oid.ts'
import { type DerReader, openDer, peekTag, readConstructed, readRaw } from '../der/reader.ts'
import { constructed, type Der, encodeDer, NULL, sequence } from '../der/writer.ts'
import { OID } from '../oid.ts'

/** `der` with every element that is `from` replaced by the octets `to`, whatever those are, and all lengths made to fit. */
export function replaceElement(der: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array {
  const edited = encodeDer(edit(openDer(der, 1 << 20), from.toHex(), to))
  if (edited.toHex() === der.toHex()) throw new TypeError('replaceElement: there is no such element')
  return edited
}

/** The SubjectPublicKeyInfo of an RSA key, restricted to one RSASSA-PSS (RFC 4055 §1.2). */
export function pssSpki(rsaSpkiDer: Uint8Array, algorithm: SignatureAlgorithmName = 'rsa-pss-sha256'): Uint8Array {
  return replaceElement(rsaSpkiDer, encodeDer(sequence(oid(OID.rsaEncryption), NULL)), encodeAlgorithm(algorithm))
}

function edit(reader: DerReader, from: string, to: Uint8Array): Der {
  const tag = peekTag(reader)
  const start = reader.offset
  const raw = readRaw(reader)
  if (raw.toHex() === from) return to
  if ((tag & 0x20) === 0) return raw
  const inner = readConstructed({ ...reader, offset: start }, tag)
  const parts: Der[] = []
  while (inner.offset < inner.end) parts.push(edit(inner, from, to))
  return constructed(tag, ...parts)
}
