import { readOid } from '../der/oid.ts'
import type { DerReader } from '../der/reader.ts'
import { expectEnd, peekTag, readConstructed, readEach, readNamedBits, readRaw, readSequence } from '../der/reader.ts'
import { contextConstructed, contextPrimitive } from '../der/tag.ts'
import { X509Error } from '../errors.ts'
import type { GeneralName } from '../general-name.ts'
import { readGeneralName } from '../general-name.ts'
import type { AccessDescription, DistributionPoint, DistributionPointName } from './model.ts'

/** cRLDistributionPoints and freshestCRL (RFC 5280 §4.2.1.13, §4.2.1.15). */
export function readDistributionPoints(reader: DerReader): readonly DistributionPoint[] {
  return readEach(readSequence(reader), readDistributionPoint)
}

function readDistributionPoint(reader: DerReader): DistributionPoint {
  const fields = readSequence(reader)
  const name = readDistributionPointName(fields)
  const reasons = peekTag(fields) === contextPrimitive(1) ? readNamedBits(fields, 9, contextPrimitive(1)) : undefined
  const crlIssuer =
    peekTag(fields) === contextConstructed(2)
      ? readEach(readConstructed(fields, contextConstructed(2)), readAddressableName)
      : undefined
  expectEnd(fields)
  // "a DistributionPoint MUST NOT consist of only the reasons field": RFC 5280 §4.2.1.13
  if (name.fullName.length === 0 && name.relativeNameDer === undefined && crlIssuer === undefined) {
    throw new X509Error('extension_invalid', 'a distribution point names nothing')
  }
  return {
    ...name,
    ...(reasons === undefined ? {} : { reasons }),
    ...(crlIssuer === undefined ? {} : { crlIssuer }),
  }
}

/** `distributionPoint [0] DistributionPointName OPTIONAL`, of a distribution point and of issuingDistributionPoint. */
export function readDistributionPointName(fields: DerReader): DistributionPointName {
  if (peekTag(fields) !== contextConstructed(0)) return { fullName: [] }
  const choice = readConstructed(fields, contextConstructed(0))
  if (peekTag(choice) === contextConstructed(0)) {
    const fullName = readEach(readConstructed(choice, contextConstructed(0)), readAddressableName)
    expectEnd(choice)
    return { fullName }
  }
  const relativeNameDer = readRaw(choice)
  expectEnd(choice)
  if (relativeNameDer[0] !== contextConstructed(1)) {
    throw new X509Error('der_tag_unexpected', 'a DistributionPointName has an unknown tag')
  }
  return { fullName: [], relativeNameDer }
}

/** authorityInfoAccess (RFC 5280 §4.2.2.1). */
export function readAuthorityInfoAccess(reader: DerReader): readonly AccessDescription[] {
  return readEach(readSequence(reader), (list) => {
    const description = readSequence(list)
    const method = readOid(description)
    const location = readAddressableName(description)
    expectEnd(description)
    return { method, location }
  })
}

/** A GeneralName outside constraints, where an address has 4 or 16 octets. */
export function readAddressableName(reader: DerReader): GeneralName {
  const name = readGeneralName(reader)
  if (name.type === 'ip' && name.octets.length !== 4 && name.octets.length !== 16) {
    throw new X509Error('extension_invalid', 'an IP address has neither 4 nor 16 octets')
  }
  return name
}
