/** What readiness rests on; each fact was observed, not assumed. */
export interface ReadinessFacts {
  readonly now: Date
  readonly draining: boolean
  readonly certificate: { readonly notBefore: Date; readonly notAfter: Date } | undefined
  /** `undefined` as long as one of the two documents has never been held. */
  readonly enforceUntil: Date | undefined
  /** The serial our own listener answered with, or why it did not. */
  readonly listener: { readonly servedSerial: string } | { readonly failed: string } | undefined
  readonly service: ServiceHealth
}

export type ServiceHealth =
  | { readonly health: 'ok' }
  | { readonly health: 'failing'; readonly detail: string }
  | { readonly health: 'unknown' }

export const READINESS_REASONS = {
  draining: 'the agent is stopping',
  no_certificate: 'there is no certificate',
  certificate_not_yet_valid: 'the certificate is not valid yet',
  certificate_expired: 'the certificate has expired',
  no_state: 'no signed state is held yet',
  state_not_enforceable: 'the signed state may not be worked on any longer',
  listener_unproven: 'the listener has not been tried yet',
  listener_failed: 'the agent cannot shake hands with its own listener',
  service_unknown: 'the local service has not been tried yet',
  service_failing: 'the local service does not answer',
} as const

export type ReadinessReason = keyof typeof READINESS_REASONS

export interface Reason {
  readonly code: ReadinessReason
  readonly detail: string
}

/** Every reason why the agent cannot serve; none means ready. Pure. */
export function unreadiness(facts: ReadinessFacts): readonly Reason[] {
  const reasons: Reason[] = []
  const add = (code: ReadinessReason, detail: string = READINESS_REASONS[code]) => reasons.push({ code, detail })
  const { certificate, enforceUntil, listener, service, now } = facts

  if (facts.draining) add('draining')
  if (certificate === undefined) add('no_certificate')
  else if (now < certificate.notBefore)
    add('certificate_not_yet_valid', `the certificate is valid from ${certificate.notBefore.toISOString()} on`)
  else if (now > certificate.notAfter)
    add('certificate_expired', `the certificate expired at ${certificate.notAfter.toISOString()}`)

  if (enforceUntil === undefined) add('no_state')
  else if (now > enforceUntil)
    add('state_not_enforceable', `the signed state was enforceable until ${enforceUntil.toISOString()}`)

  if (listener === undefined) add('listener_unproven')
  else if ('failed' in listener) add('listener_failed', listener.failed)

  if (service.health === 'unknown') add('service_unknown')
  else if (service.health === 'failing') add('service_failing', service.detail)
  return reasons
}
