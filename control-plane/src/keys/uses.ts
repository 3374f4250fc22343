import type { KeyUse } from '@vcc/api'
import { verifyTrustStatement } from '@vcc/mesh'
import type { Authorities } from '../authority/authority.ts'
import { authorityRows } from '../authority/store.ts'
import type { ReadAccess } from '../database/access.ts'
import type { Installation } from '../installation/installation.ts'

/** Answers what a key is in use for: CAs of any state, since each is opened at start, and the signers of state. */
export type UsesOf = (key: { keyId: string; spkiSha256Hex: string }) => readonly KeyUse[]

export async function readUses(deps: {
  database: ReadAccess
  authorities: Authorities
  installation: Installation
}): Promise<UsesOf> {
  const rows = await deps.database.read(authorityRows)
  const root = deps.authorities.root('mesh-root').certificate
  const { stateSigners } = verifyTrustStatement(deps.installation.trustStatement, root)
  return ({ keyId, spkiSha256Hex }) => [
    ...rows.filter((row) => row.key_id === keyId).map(({ ca_id, name }) => ({ kind: 'ca', ca_id, name }) as const),
    ...(['active', 'spare'] as const)
      .filter((role) => stateSigners[role] === spkiSha256Hex)
      .map((role) => ({ kind: 'state_signer', role }) as const),
  ]
}
