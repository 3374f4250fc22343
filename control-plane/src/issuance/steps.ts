/**
 * The moments of an issuance between which a process may end, in their order: `written` is inside the open transaction,
 * `committed` after its flush. What each leaves behind, and what a restart makes of it, is e2e/crash's table.
 */
export const ISSUANCE_STEPS = [
  'admitted',
  'intent_written',
  'intent_committed',
  'signed',
  'certificate_written',
  'certificate_committed',
] as const
export type IssuanceStep = (typeof ISSUANCE_STEPS)[number]
