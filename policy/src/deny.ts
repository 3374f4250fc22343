/** Every reason for which a call is refused. Part of the wire between agents and of metrics: stable. */
export const DENIALS = {
  not_allowed: 'no rule allows the call',
  source_not_in_matrix: 'a rule admits the caller, but its own organisation has no entry for it',
  target_not_in_matrix: 'a rule names the target, but there is no entry for it',
  source_not_registered: 'a rule allows the call, but the caller is not registered, or no longer',
  target_not_registered: 'a rule allows the call, but the target is not registered, or no longer',
  wildcard_into_high: 'only a wildcard matches, and the target has isolation_level high',
  external_isolation_high: 'the target is external and has isolation_level high',
  source_class_mismatch: "the caller's certificate is not of an accepted class",
  target_class_mismatch: "the target's certificate is not of an accepted class",
} as const

export type DenyCode = keyof typeof DENIALS

export const DEFAULT_DENY = 'default-deny'
