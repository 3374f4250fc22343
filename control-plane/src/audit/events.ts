/**
 * What is recorded. Codes are never reused or renumbered; a change of meaning raises `version`.
 *
 * `class` decides what an entry may carry in the chain itself: A is a security log whose personal part
 * is deleted after 90 days, so a person's ref stands in the details there; B (life cycle), C (accounts)
 * and D (accountability) keep it in the chain; F is for incidents. `severity` is RFC 5424's, for a success.
 */
export const AUDIT_EVENTS = {
  'KEY-01': { version: 1, class: 'D', severity: 5, means: 'key generated' },
  'KEY-02': { version: 1, class: 'D', severity: 5, means: 'key activated or deactivated' },
  'KEY-06': { version: 1, class: 'D', severity: 4, means: 'key destroyed' },
  'HSM-02': { version: 1, class: 'D', severity: 2, means: 'tamper, self-test, battery or login failure of an HSM' },
  'CA-01': { version: 1, class: 'D', severity: 5, means: 'CA created, changed or disabled' },
  'CA-02': { version: 1, class: 'B', severity: 5, means: 'profile or template created, changed or retired' },
  'CA-03': { version: 1, class: 'B', severity: 6, means: 'CRL issued' },
  'CA-04': { version: 1, class: 'B', severity: 3, means: 'CRL could not be issued' },
  'CER-01': { version: 1, class: 'B', severity: 6, means: 'certificate requested' },
  'CER-03': { version: 1, class: 'B', severity: 6, means: 'request approved or rejected' },
  'CER-04': { version: 1, class: 'B', severity: 6, means: 'certificate issued' },
  'CER-05': { version: 1, class: 'B', severity: 6, means: 'certificate renewed or re-keyed' },
  'CER-07': { version: 1, class: 'B', severity: 5, means: 'certificate revoked' },
  'CER-09': { version: 1, class: 'B', severity: 3, means: 'lint or check of an issued certificate failed' },
  'CER-10': { version: 1, class: 'B', severity: 4, means: 'weak or compromised key blocked' },
  'MSH-01': { version: 1, class: 'B', severity: 5, means: 'agent enrolled or refused' },
  'MSH-02': { version: 1, class: 'B', severity: 6, means: 'identity issued or rotated' },
  'MSH-03': { version: 1, class: 'B', severity: 6, means: 'signed state published' },
  'MSH-06': { version: 1, class: 'D', severity: 5, means: 'trust statement changed' },
  'MSH-07': { version: 1, class: 'A', severity: 4, means: 'message of an agent refused: stale, replayed or forked' },
  'MSH-08': { version: 1, class: 'B', severity: 5, means: 'service registered, changed or deregistered' },
  'MSH-09': {
    version: 1,
    class: 'D',
    severity: 4,
    means: 'identity, key, certificate or issuer shut out, or let in again',
  },
  'IAM-03': { version: 1, class: 'C', severity: 5, means: 'account created, changed, disabled or deleted' },
  'IAM-05': { version: 1, class: 'A', severity: 4, means: 'authorisation denied' },
  'IAM-08': { version: 1, class: 'A', severity: 5, means: 'token or credential issued, used abnormally or revoked' },
  'POL-01': { version: 1, class: 'D', severity: 5, means: 'policy activated or rolled back' },
  'SYS-01': { version: 1, class: 'A', severity: 5, means: 'component started or stopped' },
  'SYS-03': { version: 1, class: 'B', severity: 5, means: 'configuration changed' },
  'TIM-03': { version: 1, class: 'B', severity: 3, means: 'clock step or regression acknowledged' },
  'AUD-01': { version: 1, class: 'D', severity: 5, means: 'audit started, stopped or rotated' },
  'AUD-03': { version: 1, class: 'B', severity: 5, means: 'chain verified' },
  'AUD-04': { version: 1, class: 'F', severity: 1, means: 'gap or tampering detected' },
  'AUD-05': { version: 1, class: 'A', severity: 5, means: 'audit read or exported' },
} as const satisfies Record<string, AuditEvent>

export type AuditEventCode = keyof typeof AUDIT_EVENTS

export interface AuditEvent {
  readonly version: number
  readonly class: 'A' | 'B' | 'C' | 'D' | 'F'
  readonly severity: number
  readonly means: string
}
