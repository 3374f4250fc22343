import { serialText } from '../certificate.ts'
import type { DerReader } from '../der/reader.ts'
import {
  atEnd,
  expectEnd,
  openDer,
  peekTag,
  readBitStringOctets,
  readConstructed,
  readEach,
  readInteger,
  readRaw,
  readSequence,
  readSmallInteger,
  sameBytes,
  viewDer,
  withRaw,
} from '../der/reader.ts'
import { contextConstructed, TAG } from '../der/tag.ts'
import { readGeneralizedTime, readTime } from '../der/time.ts'
import { X509Error } from '../errors.ts'
import { readRawExtensions } from '../extension/decode.ts'
import type { RawExtension } from '../extension/model.ts'
import { readAddressableName } from '../extension/status.ts'
import { foreignAlgorithmOf } from '../foreign-key.ts'
import type { GeneralName } from '../general-name.ts'
import type { Name } from '../name.ts'
import { readName } from '../name.ts'
import { OID } from '../oid.ts'
import type { RevocationReason } from '../revocation-reason.ts'
import { revocationReasonOf } from '../revocation-reason.ts'
import { checkCriticality, readCrlExtensions } from './extensions.ts'
import type { CertificateList, RevokedCertificate } from './model.ts'

/** Largest CRL that is read, in octets: some 100 000 entries. */
export const MAX_CRL_OCTETS = 4 * 1024 * 1024

/**
 * Decodes one X.509 version 2 CRL of at most 4 MiB, complete or delta, strictly as DER.
 *
 * Checks form, and that it says what RFC 5280 §5 wants every CRL to say. Does **not** verify the signature, the time or
 * what the CRL covers.
 *
 * @throws {X509Error} crl_*, extension_*, `key_identifier_missing` and der_* codes.
 *
 * Source: RFC 5280 §5.
 */
export function decodeCrl(der: Uint8Array): CertificateList {
  const outer = openDer(der, MAX_CRL_OCTETS)
  const list = readSequence(outer)
  const { value, raw: tbsDer } = withRaw(list, readTbs)
  const { algorithmDer, ...tbs } = value
  const outerAlgorithmDer = readRaw(list)
  const signature = readBitStringOctets(list)
  expectEnd(list)
  expectEnd(outer)
  // "This field MUST contain the same algorithm identifier as the signatureAlgorithm field": RFC 5280 §5.1.2.2
  if (!sameBytes(algorithmDer, outerAlgorithmDer)) {
    throw new X509Error('crl_algorithm_mismatch', 'the CRL names two signature algorithms')
  }
  return { der: outer.bytes, tbsDer, signature, ...tbs }
}

/** The issuer of a CRL, read no further than needed to tell whether it is of use. */
export function peekCrlIssuer(der: Uint8Array): Name {
  const tbs = readSequence(readSequence(openDer(der, MAX_CRL_OCTETS)))
  if (peekTag(tbs) === TAG.integer) readRaw(tbs)
  readRaw(tbs)
  return readName(tbs)
}

type Tbs = Omit<CertificateList, 'der' | 'tbsDer' | 'signature'> & { readonly algorithmDer: Uint8Array }

function readTbs(reader: DerReader): Tbs {
  const tbs = readSequence(reader)
  // "When extensions are used, as required by this profile, this field MUST be present and MUST specify version 2": §5.1.2.1
  if (peekTag(tbs) !== TAG.integer || readSmallInteger(tbs, 255) !== 1) {
    throw new X509Error('crl_version', 'the version of the CRL is not 2')
  }
  const algorithmDer = readRaw(tbs)
  const issuer = readName(tbs)
  // "The issuer field MUST contain a non-empty X.500 distinguished name (DN)": §5.1.2.3
  if (issuer.rdns.length === 0) throw new X509Error('crl_issuer_empty', 'the issuer name of the CRL is empty')
  const thisUpdate = readTime(tbs)
  // "Conforming CRL issuers MUST include the nextUpdate field in all CRLs": §5.1.2.5
  if (peekTag(tbs) !== TAG.utcTime && peekTag(tbs) !== TAG.generalizedTime) {
    throw new X509Error('crl_next_update_missing', 'the CRL does not say when the next one comes')
  }
  const nextUpdate = readTime(tbs)
  // "When there are no revoked certificates, the revoked certificates list MUST be absent": §5.1.2.6
  const revoked = peekTag(tbs) === TAG.sequence ? readRevoked(readSequence(tbs)) : []
  const tagged = readConstructed(tbs, contextConstructed(0))
  const extensions = readCrlExtensions(tagged)
  expectEnd(tagged)
  expectEnd(tbs)
  const isDelta = extensions.baseCrlNumber !== undefined
  // "removeFromCRL (8) reasonCode value may only appear in delta CRLs": §5.3.1
  if (!isDelta && revoked.some(({ reason }) => reason === 'removeFromCRL')) {
    throw new X509Error('extension_invalid', 'a complete CRL takes a certificate off')
  }
  const signatureAlgorithm = foreignAlgorithmOf(algorithmDer)
  return { algorithmDer, signatureAlgorithm, issuer, thisUpdate, nextUpdate, revoked, extensions }
}

function readRevoked(list: DerReader): readonly RevokedCertificate[] {
  let certificateIssuer: readonly GeneralName[] | undefined
  return readEach(list, (reader) => {
    const entry = readEntry(reader)
    // "If this extension is not present in subsequent entries in an indirect CRL, the certificate issuer for the entry is
    // the same as that for the preceding entry": RFC 5280 §5.3.3
    certificateIssuer = entry.certificateIssuer ?? certificateIssuer
    return certificateIssuer === undefined ? entry : { ...entry, certificateIssuer }
  })
}

function readEntry(reader: DerReader): RevokedCertificate {
  const entry = readSequence(reader)
  const serialHex = serialText(readInteger(entry))
  const revocationDate = readTime(entry)
  if (atEnd(entry)) return { serialHex, revocationDate }
  const extensions = readRawExtensions(entry)
  expectEnd(entry)
  checkCriticality(extensions, CRITICAL)
  return { serialHex, revocationDate, ...readEntryExtensions(extensions) }
}

/** RFC 5280 §5.3.1 to §5.3.3. */
const CRITICAL: ReadonlyMap<string, boolean> = new Map([
  [OID.reasonCode, false],
  [OID.invalidityDate, false],
  [OID.certificateIssuer, true],
])

function readEntryExtensions(
  extensions: readonly RawExtension[],
): Pick<RevokedCertificate, 'reason' | 'invalidityDate' | 'certificateIssuer'> {
  const found: { reason?: RevocationReason; invalidityDate?: Date; certificateIssuer?: readonly GeneralName[] } = {}
  for (const { oid, valueDer } of extensions) {
    const reader = viewDer(valueDer)
    if (oid === OID.reasonCode) found.reason = readReason(reader)
    else if (oid === OID.invalidityDate) found.invalidityDate = readGeneralizedTime(reader)
    else if (oid === OID.certificateIssuer)
      found.certificateIssuer = readEach(readSequence(reader), readAddressableName)
    else continue
    expectEnd(reader)
  }
  return found
}

function readReason(reader: DerReader): RevocationReason {
  const reason = revocationReasonOf(readSmallInteger(reader, 255, TAG.enumerated))
  if (reason === undefined) throw new X509Error('extension_invalid', 'a CRL entry has a reason that does not exist')
  return reason
}
