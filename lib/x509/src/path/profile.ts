import type { Departure } from '../departure.ts'
import type { CertificateRule } from './certificate-rule.ts'
import { CRITICAL_NAME_CONSTRAINTS, RFC5280_RULES } from './rfc5280-rules.ts'
import { WEBPKI_RULES } from './webpki-rules.ts'

/** In what the validations that `findPath` makes differ; everything else about them is the same. */
interface PathProfile {
  /** Departures from the form of RFC 5280 §4.1 that do not matter. */
  readonly tolerates: readonly Departure[]
  /** What each certificate of the path, the anchor among them, has to say. */
  readonly rules: readonly CertificateRule[]
  /** Whether a leaf without extKeyUsage may be used for everything. */
  readonly isUsageOptional: boolean
  /** Whether anyExtendedKeyUsage stands for the usage that is asked for. */
  readonly isAnyUsageEnough: boolean
}

/**
 * `rfc5280-path`: the algorithm of RFC 5280 §6 alone, which asks little of what CAs should have written. `rfc5280`: also the
 * certificate profile of §4. `webpki`: TLS servers of the public web, by the Baseline Requirements of the CA/Browser Forum.
 */
export const PATH_PROFILES = {
  'rfc5280-path': {
    // "Certificate users SHOULD be prepared to gracefully handle such certificates": §4.1.2.2. "Applications conforming to
    // this profile SHOULD be capable of parsing certificates that include unique identifiers": §4.1.2.8. "Conforming
    // applications MUST be able to process validity dates that are encoded in either UTCTime or GeneralizedTime": §4.1.2.5
    tolerates: ['certificate_serial', 'certificate_unique_id', 'der_time_invalid'],
    rules: [],
    isUsageOptional: true,
    isAnyUsageEnough: true,
  },
  rfc5280: {
    tolerates: [],
    rules: [...RFC5280_RULES, CRITICAL_NAME_CONSTRAINTS],
    isUsageOptional: true,
    isAnyUsageEnough: true,
  },
  webpki: {
    tolerates: [],
    rules: [...RFC5280_RULES, ...WEBPKI_RULES],
    isUsageOptional: false,
    isAnyUsageEnough: false,
  },
} as const satisfies Record<string, PathProfile>

export type PathProfileName = keyof typeof PATH_PROFILES
