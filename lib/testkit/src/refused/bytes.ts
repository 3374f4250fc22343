import { decodeCertificate, decodePem, encodeAlgorithm, OID } from '@vcc/x509'
import {
  casesOf,
  constructed,
  encodeDer,
  FROM,
  forgeCa,
  forgeLeaf,
  hex,
  integer,
  primitive,
  rawExtension,
  sequence,
  UNTIL,
} from './forge.ts'

const root = forgeCa()
const good = forgeLeaf({ issuer: root })
const version = constructed(0xa0, integer(2))
const algorithm = encodeAlgorithm('ecdsa-sha256')
const SHA1 = hex('3009 06072a8648ce3d0401')

/** A certificate of these parts of a TBSCertificate: readers stop at the first that is wrong. */
const certificate = (...tbs: (Uint8Array | ReturnType<typeof sequence>)[]): Uint8Array =>
  encodeDer(sequence(sequence(...tbs)))
const upToIssuer = [version, integer(1), algorithm] as const
const upToValidity = [...upToIssuer, root.name.der] as const
const withExtension = (raw: Uint8Array): Uint8Array => forgeLeaf({ issuer: root, slots: { raw } }).der
const attribute = (tag: number, text: string): ReturnType<typeof sequence> =>
  sequence(hex('0603550403'), primitive(tag, Buffer.from(text)))

/** What the reader of certificates refuses. */
export const REFUSED_BYTES = casesOf({
  der_too_large: () => decodeCertificate(new Uint8Array(16_385)),
  der_truncated: () => decodeCertificate(good.der.subarray(0, 100)),
  der_trailing_bytes: () => decodeCertificate(new Uint8Array([...good.der, 0])),
  der_tag_unexpected: () => decodeCertificate(hex('3100')),
  der_length_indefinite: () => decodeCertificate(hex('3080 0000')),
  der_length_not_minimal: () => decodeCertificate(hex('308103 020101')),
  der_boolean_invalid: () => decodeCertificate(withExtension(hex('300b 06032a0304 010101 0401 00'))),
  der_integer_invalid: () => decodeCertificate(certificate(version, hex('0202 0001'))),
  der_integer_out_of_range: () => decodeCertificate(certificate(constructed(0xa0, integer(9)))),
  der_bit_string_invalid: () =>
    decodeCertificate(
      forgeLeaf({ issuer: root, slots: { keyUsage: rawExtension(OID.keyUsage, true, '0302 0700') } }).der,
    ),
  der_oid_invalid: () => decodeCertificate(withExtension(hex('3006 060180 0401 00'))),
  der_string_invalid: () =>
    decodeCertificate(certificate(...upToIssuer, sequence(constructed(0x31, attribute(0x13, 'a*b'))))),
  der_time_invalid: () =>
    decodeCertificate(certificate(...upToValidity, sequence(primitive(0x17, Buffer.from('2606011200Z'))))),
  der_default_explicit: () => decodeCertificate(certificate(constructed(0xa0, integer(0)))),
  der_set_unordered: () =>
    decodeCertificate(
      certificate(...upToIssuer, sequence(constructed(0x31, attribute(0x13, 'b'), attribute(0x13, 'a')))),
    ),
  der_empty: () =>
    decodeCertificate(
      forgeLeaf({ issuer: root, slots: { extKeyUsage: rawExtension(OID.extKeyUsage, false, '3000') } }).der,
    ),
  pem_invalid: () => decodePem('-----BEGIN CERTIFICATE-----', 'CERTIFICATE'),
  certificate_version: () => decodeCertificate(certificate(integer(1), algorithm)),
  certificate_serial: () => decodeCertificate(certificate(version, integer(0))),
  certificate_unique_id: () => decodeCertificate(withUniqueId()),
  certificate_issuer_empty: () => decodeCertificate(certificate(...upToIssuer, sequence())),
  certificate_validity_inverted: () =>
    decodeCertificate(forgeLeaf({ issuer: root, notBefore: UNTIL, notAfter: FROM }).der),
  certificate_algorithm_mismatch: () => decodeCertificate(withOuterAlgorithm(encodeAlgorithm('ecdsa-sha384'))),
  extension_duplicate: () =>
    decodeCertificate(forgeLeaf({ issuer: root, slots: { one: unknown(), two: unknown() } }).der),
  extension_invalid: () =>
    decodeCertificate(
      forgeLeaf({ issuer: root, slots: { keyUsage: rawExtension(OID.keyUsage, true, '0301 00') } }).der,
    ),
  algorithm_unsupported: () => decodeCertificate(certificate(version, integer(1), SHA1)),
})

function unknown(): Uint8Array {
  return rawExtension('1.2.3.4', false, '0500')
}

function withUniqueId(): Uint8Array {
  const { spkiDer } = good.signer.publicKey
  const validity = sequence(
    primitive(0x17, Buffer.from('260101000000Z')),
    primitive(0x17, Buffer.from('261231235959Z')),
  )
  return certificate(...upToValidity, validity, good.name.der, spkiDer, primitive(0x82, hex('0001')))
}

function withOuterAlgorithm(outer: Uint8Array): Uint8Array {
  const tbs = good.der.subarray(4, 8 + Buffer.from(good.der).readUInt16BE(6))
  return encodeDer(sequence(tbs, outer, hex('030100')))
}
