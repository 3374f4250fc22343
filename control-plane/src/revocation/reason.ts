import type { RevocationReason as ApiReason } from '@vcc/api'
import type { RevocationReason } from '@vcc/x509'

/** What CRLs and OCSP answers call the reasons of the API. */
export const CRL_REASONS: Readonly<Record<ApiReason, RevocationReason>> = {
  unspecified: 'unspecified',
  key_compromise: 'keyCompromise',
  ca_compromise: 'cACompromise',
  affiliation_changed: 'affiliationChanged',
  superseded: 'superseded',
  cessation_of_operation: 'cessationOfOperation',
  privilege_withdrawn: 'privilegeWithdrawn',
}
