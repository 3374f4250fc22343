import type { DerReader } from '../der/reader.ts'
import {
  atEnd,
  expectEnd,
  peekTag,
  readDefaultFalse,
  readInteger,
  readNamedBits,
  readSequence,
  viewDer,
} from '../der/reader.ts'
import { contextPrimitive } from '../der/tag.ts'
import { X509Error } from '../errors.ts'
import { readAuthorityKeyId, readRawExtensions } from '../extension/decode.ts'
import type { RawExtension } from '../extension/model.ts'
import { readAuthorityInfoAccess, readDistributionPointName, readDistributionPoints } from '../extension/status.ts'
import { OID } from '../oid.ts'
import type { CrlExtensions, IssuingDistributionPoint } from './model.ts'

/**
 * The extensions of a CRL, known ones decoded to the last octet.
 *
 * @throws {X509Error} `extension_criticality`, `extension_critical_unknown`, `extension_invalid`, `extension_duplicate`,
 *   `crl_number_missing`, `key_identifier_missing`, der_* codes.
 */
export function readCrlExtensions(reader: DerReader): CrlExtensions {
  const all = readRawExtensions(reader)
  const values = new Map(all.map(({ oid, valueDer }) => [oid, valueDer]))
  checkCriticality(all, CRITICAL)
  const authorityKeyId = decode(values, OID.authorityKeyId, readAuthorityKeyId)
  const crlNumber = decode(values, OID.crlNumber, readCrlNumber)
  const baseCrlNumber = decode(values, OID.deltaCrlIndicator, readCrlNumber)
  const issuingDistributionPoint = decode(values, OID.issuingDistributionPoint, readIssuingDistributionPoint)
  const freshestCrl = decode(values, OID.freshestCrl, readDistributionPoints)
  decode(values, OID.authorityInfoAccess, readAuthorityInfoAccess)
  // "Conforming CRL issuers MUST use the key identifier method, and MUST include this extension in all CRLs": §5.2.1
  if (authorityKeyId?.keyId === undefined) {
    throw new X509Error('key_identifier_missing', 'the CRL does not identify the key of its issuer')
  }
  // "CRL issuers conforming to this profile MUST include this extension in all CRLs": §5.2.3
  if (crlNumber === undefined) throw new X509Error('crl_number_missing', 'the CRL has no number')
  return {
    authorityKeyId,
    crlNumber,
    ...(baseCrlNumber === undefined ? {} : { baseCrlNumber }),
    ...(issuingDistributionPoint === undefined ? {} : { issuingDistributionPoint }),
    ...(freshestCrl === undefined ? {} : { freshestCrl }),
    all,
  }
}

/** Each known extension as critical as RFC 5280 wants it, and no unknown one critical. */
export function checkCriticality(
  extensions: readonly RawExtension[],
  isCriticalByOid: ReadonlyMap<string, boolean>,
): void {
  for (const { oid, critical } of extensions) {
    const expected = isCriticalByOid.get(oid)
    // "If a CRL contains a critical extension that the application cannot process, then the application MUST NOT use that
    // CRL to determine the status of certificates": RFC 5280 §5.2; the same for entries: §5.3
    if (expected === undefined && critical) {
      throw new X509Error('extension_critical_unknown', `extension ${oid} of a CRL is critical and not processed`)
    }
    if (expected !== undefined && expected !== critical) {
      throw new X509Error(
        'extension_criticality',
        `extension ${oid} of a CRL has to be ${expected ? '' : 'non-'}critical`,
      )
    }
  }
}

/** RFC 5280 §5.2.1 to §5.2.7. */
const CRITICAL: ReadonlyMap<string, boolean> = new Map([
  [OID.authorityKeyId, false],
  [OID.issuerAltName, false],
  [OID.crlNumber, false],
  [OID.deltaCrlIndicator, true],
  [OID.issuingDistributionPoint, true],
  [OID.freshestCrl, false],
  [OID.authorityInfoAccess, false],
])

function decode<T>(
  values: ReadonlyMap<string, Uint8Array>,
  oid: string,
  read: (reader: DerReader) => T,
): T | undefined {
  const valueDer = values.get(oid)
  if (valueDer === undefined) return undefined
  const reader = viewDer(valueDer)
  const value = read(reader)
  expectEnd(reader)
  return value
}

/** "CRL verifiers MUST be able to handle CRLNumber values up to 20 octets": RFC 5280 §5.2.3. */
function readCrlNumber(reader: DerReader): bigint {
  const content = readInteger(reader)
  if ((content[0] ?? 0x80) >= 0x80 || content.length > 20) {
    throw new X509Error('der_integer_out_of_range', 'a CRL number is negative or has more than 20 octets')
  }
  return BigInt(`0x${content.toHex()}`)
}

function readIssuingDistributionPoint(reader: DerReader): IssuingDistributionPoint {
  const fields = readSequence(reader)
  // "Conforming CRL issuers MUST NOT issue CRLs where the DER encoding of [it] is an empty sequence": RFC 5280 §5.2.5
  if (atEnd(fields)) throw new X509Error('extension_invalid', 'an issuingDistributionPoint says nothing')
  const name = readDistributionPointName(fields)
  const onlyContainsUserCerts = readDefaultFalse(fields, contextPrimitive(1))
  const onlyContainsCaCerts = readDefaultFalse(fields, contextPrimitive(2))
  const onlySomeReasons =
    peekTag(fields) === contextPrimitive(3) ? readNamedBits(fields, 9, contextPrimitive(3)) : undefined
  const indirectCrl = readDefaultFalse(fields, contextPrimitive(4))
  const onlyContainsAttributeCerts = readDefaultFalse(fields, contextPrimitive(5))
  expectEnd(fields)
  // "at most one of onlyContainsUserCerts, onlyContainsCACerts, and onlyContainsAttributeCerts may be set to TRUE": §5.2.5
  if ([onlyContainsUserCerts, onlyContainsCaCerts, onlyContainsAttributeCerts].filter(Boolean).length > 1) {
    throw new X509Error('extension_invalid', 'an issuingDistributionPoint limits the CRL to nothing')
  }
  return {
    ...name,
    onlyContainsUserCerts,
    onlyContainsCaCerts,
    onlyContainsAttributeCerts,
    indirectCrl,
    ...(onlySomeReasons === undefined ? {} : { onlySomeReasons }),
  }
}
