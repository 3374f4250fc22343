import { TAG } from '../der/tag.ts'
import type { DistributionPoint, DistributionPointName } from '../extension/model.ts'
import type { GeneralName } from '../general-name.ts'
import { preparedName, preparedRdn } from '../name-comparison.ts'
import type { PathNode } from '../path/pool.ts'
import type { CertificateList, IssuingDistributionPoint } from './model.ts'

/** Where to look for one certificate's status. Names are comparable texts, reasons a mask of ReasonFlags. */
export interface StatusPoint {
  readonly names: readonly string[]
  readonly reasons: number
  /** Prepared names of the CRL's issuer. */
  readonly crlIssuers: readonly string[]
  /** Whether the issuer is another one than the certificate's, so that the CRL has to be indirect. */
  readonly isIndirect: boolean
}

/** A CRL with the comparable names of its issuingDistributionPoint. */
export interface PooledCrl {
  readonly list: CertificateList
  readonly names: readonly string[]
}

/** ReasonFlags 1 to 8; bit 0 is unused. */
export const ALL_REASONS = 0b1_1111_1110

/** The points that a certificate states, then the one that every certificate has: its issuer's name. RFC 5280 §6.3.3. */
export function statusPoints({ certificate, issuer }: PathNode): readonly StatusPoint[] {
  const implicit = { names: [directoryKey(issuer)], reasons: ALL_REASONS, crlIssuers: [issuer], isIndirect: false }
  return [...(certificate.extensions.crlDistributionPoints ?? []).map((point) => statedPoint(point, issuer)), implicit]
}

function statedPoint(point: DistributionPoint, issuer: string): StatusPoint {
  const reasons = maskOf(point.reasons)
  if (point.crlIssuer === undefined) {
    return { names: pointNames(point, issuer), reasons, crlIssuers: [issuer], isIndirect: false }
  }
  const crlIssuers = directoriesOf(point.crlIssuer)
  const names = pointNames(point, crlIssuers[0] ?? issuer)
  // (b)(2)(i) "if the distribution point name … is omitted from the DP, then verify that one of the names in the IDP matches
  // one of the names in the cRLIssuer field of the DP"
  return { names: names.length > 0 ? names : crlIssuers.map(directoryKey), reasons, crlIssuers, isIndirect: true }
}

/** Whether a CRL, complete or delta, speaks about this certificate when looked for at this point: RFC 5280 §6.3.3 (b). */
export function isInScope({ list, names }: PooledCrl, point: StatusPoint, node: PathNode): boolean {
  const scope = list.extensions.issuingDistributionPoint
  if (point.isIndirect && scope?.indirectCrl !== true) return false
  if (scope === undefined) return true
  if (names.length > 0 && !names.some((name) => point.names.includes(name))) return false
  const isCa = node.certificate.extensions.basicConstraints?.isCa === true
  if (isCa ? scope.onlyContainsUserCerts : scope.onlyContainsCaCerts) return false
  return !scope.onlyContainsAttributeCerts
}

/** (d) the reasons that a CRL found at this point answers for. */
export function reasonsCovered(scope: IssuingDistributionPoint | undefined, point: StatusPoint): number {
  return maskOf(scope?.onlySomeReasons) & point.reasons
}

/** Prepared names of those that are distinguished names. */
export function directoriesOf(names: readonly GeneralName[]): readonly string[] {
  return names.flatMap((name) => (name.type === 'directory' ? [preparedName(name.name)] : []))
}

/** A distribution point's names as comparable texts, a relative one below `base`, a prepared name. */
export function pointNames({ fullName, relativeNameDer }: DistributionPointName, base: string): readonly string[] {
  if (relativeNameDer === undefined) return fullName.map(keyOf)
  // "the value … is appended to the X.500 distinguished name of the CRL issuer": RFC 5280 §5.2.5, §4.2.1.13
  const rdnDer = new Uint8Array(relativeNameDer)
  rdnDer[0] = TAG.set
  return [directoryKey(`${base}+${preparedRdn(rdnDer)}`)]
}

function keyOf(name: GeneralName): string {
  switch (name.type) {
    case 'directory':
      return directoryKey(preparedName(name.name))
    case 'ip':
      return `ip ${name.octets.toHex()}`
    case 'other':
      return `other ${name.der.toHex()}`
    case 'dns':
    case 'email':
    case 'uri':
      return `${name.type} ${name.value}`
    default:
      return name satisfies never
  }
}

function directoryKey(name: string): string {
  return `directory ${name}`
}

function maskOf(bits: readonly number[] | undefined): number {
  return bits === undefined ? ALL_REASONS : bits.reduce((mask, bit) => mask | (1 << bit), 0) & ALL_REASONS
}
