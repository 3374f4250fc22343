import type { KeyStore, Signer } from '@vcc/keys'
import { type JwsSigner, jwsSigner, verifyTrustStatement } from '@vcc/mesh'
import { encodeName } from '@vcc/x509'
import type { Authorities } from '../authority/authority.ts'
import { certificateByKey } from '../certificates/store.ts'
import type { UnitAccess } from '../database/access.ts'
import { DomainError } from '../errors.ts'
import type { Installation } from '../installation/installation.ts'
import { type IssueDeps, issue, type Requester } from '../issuance/issue.ts'

const YEAR_MS = 365 * 86_400_000
const BACKDATE_MS = 300_000

/** A key that may sign state, with a certificate of the Control CA for a year. The trust statement has to name it. */
export async function createStateSigner(
  role: 'active' | 'spare',
  context: { requester: Requester; requestId: string },
  deps: IssueDeps & { keys: KeyStore; authorities: Authorities },
): Promise<Signer> {
  const signer = await deps.keys.generate('state', 'P-256')
  await certify(signer, role, context, deps)
  return signer
}

type StateSignerDeps = Omit<IssueDeps, 'installation'> & {
  readonly installation: Installation
  readonly database: UnitAccess
  readonly keys: KeyStore
  readonly authorities: Authorities
}

export interface StateSigner {
  /** Always with the newest certificate. */
  readonly signer: JwsSigner
  /** A new certificate for the same key when a third of a year is left, so that no document is cut short by it. */
  readonly renew: () => Promise<void>
}

/**
 * The key that signs state, as the trust statement names it, with its newest certificate.
 * @throws {DomainError} `signer_unavailable` when the key store lacks the key.
 */
export async function openStateSigner(deps: StateSignerDeps): Promise<StateSigner> {
  const root = deps.authorities.root('mesh-root').certificate
  const { stateSigners } = verifyTrustStatement(deps.installation.trustStatement, root)
  const key = await keyOf(stateSigners.active, deps.keys)
  let current = await certified(key, deps)
  return {
    signer: {
      alg: current.alg,
      publicKey: current.publicKey,
      get x5c() {
        return current.x5c
      },
      get notAfter() {
        return current.notAfter
      },
      sign: (input) => current.sign(input),
    },
    async renew() {
      current = await certified(key, deps)
    },
  }
}

async function certified(key: Signer, deps: StateSignerDeps): Promise<JwsSigner> {
  const row = await deps.database.read(() => certificateByKey(key.publicKey.spkiSha256Hex, deps.now()))
  if (row !== undefined && row.der !== null && row.expires_at * 1000 - deps.now().getTime() > YEAR_MS / 3) {
    return jwsSigner(key, [row.der, deps.authorities.byId(row.issuing_ca_id).certificate.der])
  }
  const issuer = deps.authorities.issuing('control-ca')
  const context = { requester: { type: 'system', ref: 'vcc-control' }, requestId: `start-${deps.owner}` } as const
  return jwsSigner(key, [(await certify(key, 'active', context, deps)).der, issuer.certificate.der])
}

async function certify(
  signer: Signer,
  role: 'active' | 'spare',
  context: { requester: Requester; requestId: string },
  deps: IssueDeps & { authorities: Authorities },
) {
  const issuer = deps.authorities.issuing('control-ca')
  const startMs = Math.floor(deps.now().getTime() / 1000) * 1000 - BACKDATE_MS
  const { certificate } = await issue(
    {
      issuer,
      profile: 'state-signer',
      subject: encodeName([{ type: 'CN', value: `VCC State Signer ${role}` }]),
      publicKey: signer.publicKey,
      notBefore: new Date(startMs),
      notAfter: new Date(Math.min(startMs + YEAR_MS, issuer.certificate.notAfter.getTime())),
      record: {
        organization: null,
        serviceId: null,
        instanceId: null,
        className: null,
        template: null,
        purpose: 'state',
        cause: context.requestId === 'init' ? 'init' : 'start',
        autoRenewal: true,
      },
      ...context,
    },
    deps,
  )
  return certificate
}

async function keyOf(spkiSha256: string, keys: KeyStore): Promise<Signer> {
  for (const { keyId, purpose } of await keys.list()) {
    if (purpose !== 'state') continue
    const signer = await keys.open(keyId, 'state')
    if (signer.publicKey.spkiSha256Hex === spkiSha256) return signer
  }
  throw new DomainError('signer_unavailable', 'the key store lacks the key that the trust statement names for state')
}
