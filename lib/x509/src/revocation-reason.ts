/** CRLReason (RFC 5280 §5.3.1): the numbers that CRLs and OCSP answers carry. */
export const REVOCATION_REASONS = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const

export type RevocationReason = keyof typeof REVOCATION_REASONS

/** The reason with this number; undefined for 7, which is not used, and for numbers beyond the table. */
export function revocationReasonOf(code: number): RevocationReason | undefined {
  return BY_CODE.get(code)
}

const BY_CODE: ReadonlyMap<number, RevocationReason> = new Map(
  (Object.keys(REVOCATION_REASONS) as RevocationReason[]).map((reason) => [REVOCATION_REASONS[reason], reason]),
)
