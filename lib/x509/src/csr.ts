import type { SignatureAlgorithmName, TbsSigner } from './algorithm.ts'
import { encodeAlgorithm, readAlgorithm, verifySignature } from './algorithm.ts'
import { readOid } from './der/oid.ts'
import type { DerReader } from './der/reader.ts'
import {
  atEnd,
  compareBytes,
  expectEnd,
  openDer,
  readBitStringOctets,
  readConstructed,
  readInteger,
  readRaw,
  readSequence,
  readSetOf,
  viewDer,
  withRaw,
} from './der/reader.ts'
import { contextConstructed } from './der/tag.ts'
import { bitString, constructed, encodeDer, integer, sequence } from './der/writer.ts'
import { X509Error } from './errors.ts'
import { NO_EXTENSIONS, readExtensions } from './extension/decode.ts'
import type { Extensions } from './extension/model.ts'
import type { Name } from './name.ts'
import { encodeName, readName } from './name.ts'
import { OID } from './oid.ts'
import type { PublicKey } from './public-key.ts'
import { readPublicKey } from './public-key.ts'

export interface Csr {
  readonly der: Uint8Array
  readonly subject: Name
  readonly publicKey: PublicKey
  /** What the extensionRequest attribute asks for; nothing when there is none. */
  readonly requestedExtensions: Extensions
  readonly attributes: readonly { readonly oid: string; readonly valuesDer: readonly Uint8Array[] }[]
}

declare const verified: unique symbol

/** A request signed by the key it carries, under an algorithm and a key that we allow. Minted only here. */
export type VerifiedCsr = Csr & { readonly [verified]: true }

/**
 * Decodes a PKCS #10 request of at most 16 KiB and proves possession: the signature is by the key inside, the algorithm
 * is ECDSA or RSA with SHA-2, the key passes `decodePublicKey`.
 *
 * Does **not** judge what the request names; see `assertKeyOnlyCsr`.
 *
 * @throws {X509Error} csr_*, key_*, extension_* and der_* codes.
 *
 * Source: RFC 2986 §4.
 */
export function verifyCsr(der: Uint8Array): VerifiedCsr {
  const outer = openDer(der, MAX_CSR_OCTETS)
  const request = readSequence(outer)
  const { value: info, raw: infoDer } = withRaw(request, readInfo)
  const algorithm = readCsrAlgorithm(request)
  const signature = readBitStringOctets(request)
  expectEnd(request)
  expectEnd(outer)
  if (!verifySignature(algorithm, info.publicKey, infoDer, signature)) {
    throw new X509Error('csr_signature_invalid', 'the request is not signed by the key it carries')
  }
  const csr: Csr = { der: outer.bytes, ...info }
  return csr as VerifiedCsr
}

/**
 * Refuses a request that carries more than a key: names and extensions of a workload come from the registry.
 *
 * @throws {X509Error} `csr_names_refused` for a subject that is not empty, or any attribute.
 */
export function assertKeyOnlyCsr(csr: VerifiedCsr): void {
  if (csr.subject.rdns.length > 0) throw new X509Error('csr_names_refused', 'the request names a subject')
  if (csr.attributes.length > 0) throw new X509Error('csr_names_refused', 'the request has attributes')
}

/** A request for the signer's key with an empty subject and no attributes. */
export async function buildCsr(signer: TbsSigner, options?: { signal?: AbortSignal }): Promise<Uint8Array> {
  const noAttributes = constructed(contextConstructed(0))
  const info = encodeDer(sequence(integer(0), encodeName([]).der, signer.publicKey.spkiDer, noAttributes))
  const signature = await signer.sign(info, options)
  return encodeDer(sequence(info, encodeAlgorithm(signer.algorithm), bitString(signature)))
}

function readInfo(reader: DerReader): Omit<Csr, 'der'> {
  const info = readSequence(reader)
  const version = readInteger(info)
  // "it shall be 0 for this version of the standard": RFC 2986 §4.1
  if (version.length !== 1 || version[0] !== 0)
    throw new X509Error('csr_version', 'the version of the request is not 0')
  const subject = readName(info)
  const publicKey = readPublicKey(info)
  const attributes = readAttributes(readConstructed(info, contextConstructed(0)))
  expectEnd(info)
  return { subject, publicKey, attributes, requestedExtensions: requestedExtensions(attributes) }
}

function readAttributes(reader: DerReader): Csr['attributes'] {
  const attributes: { oid: string; valuesDer: Uint8Array[] }[] = []
  let previous: Uint8Array | undefined
  while (!atEnd(reader)) {
    const { value, raw } = withRaw(reader, readAttribute)
    if (attributes.some(({ oid }) => oid === value.oid)) {
      throw new X509Error('csr_attribute_duplicate', `attribute ${value.oid} is there twice`)
    }
    if (previous !== undefined && compareBytes(previous, raw) >= 0) {
      throw new X509Error('der_set_unordered', 'a SET OF is unordered or repeats an element')
    }
    previous = raw
    attributes.push(value)
  }
  return attributes
}

function readAttribute(reader: DerReader): { oid: string; valuesDer: Uint8Array[] } {
  const attribute = readSequence(reader)
  const oid = readOid(attribute)
  const valuesDer = readSetOf(attribute, readRaw)
  expectEnd(attribute)
  return { oid, valuesDer }
}

function requestedExtensions(attributes: Csr['attributes']): Extensions {
  const request = attributes.find(({ oid }) => oid === OID.extensionRequest)
  const [value, ...more] = request?.valuesDer ?? []
  if (value === undefined) return NO_EXTENSIONS
  // "SINGLE VALUE TRUE": RFC 2985 §5.4.2
  if (more.length > 0) throw new X509Error('extension_invalid', 'extensionRequest has several values')
  const reader = viewDer(value)
  const extensions = readExtensions(reader)
  expectEnd(reader)
  return extensions
}

/** MD5, SHA-1 and DSA end here with everything else that is not in our table. */
function readCsrAlgorithm(reader: DerReader): SignatureAlgorithmName {
  try {
    return readAlgorithm(reader)
  } catch (cause) {
    if (!(cause instanceof X509Error) || cause.code !== 'algorithm_unsupported') throw cause
    throw new X509Error('csr_algorithm_refused', 'the request is not signed with SHA-2', { cause })
  }
}

const MAX_CSR_OCTETS = 16_384
