import type { KeySummary } from '@vcc/api'
import { KeyError, type KeySpec, type StoredKey } from '@vcc/keys'
import { decodePublicKey, encodePem } from '@vcc/x509'
import type { AuditDeps } from '../audit/append.ts'
import type { Authorities } from '../authority/authority.ts'
import type { UnitAccess } from '../database/access.ts'
import { DomainError } from '../errors.ts'
import type { Handlers } from '../http/handlers.ts'
import type { Installation } from '../installation/installation.ts'
import type { OneAtATime } from '../one-at-a-time.ts'
import { auditKeyAttempt, auditKeyDenied, auditKeyOutcome, type KeyAct, type KeyDetails } from './audit.ts'
import type { Keys } from './open.ts'
import { readUses } from './uses.ts'
import { hsmView, keyView, labelOf } from './view.ts'

export interface KeyRouteDeps {
  readonly database: UnitAccess
  readonly audit: AuditDeps
  readonly installation: Installation
  readonly authorities: Authorities
  readonly keys: Keys
  /** Shared with what makes CAs: a key that is about to get its certificate is not deleted meanwhile. */
  readonly keyChanges: OneAtATime
}

type KeyRoutes = 'hsmStatus' | 'hsmKeyList' | 'hsmKeyShow' | 'hsmKeyPublic' | 'hsmKeyGenerate' | 'hsmKeyDelete'

/** The keys of the installation, in the token and in files: which there are, what uses them, a new one, one less. */
export function keyRoutes(deps: KeyRouteDeps): Pick<Handlers, KeyRoutes> {
  return {
    hsmStatus: () => hsmView(deps.keys),
    async hsmKeyList({ query }) {
      const [keys, usesOf] = [await deps.keys.list(), await readUses(deps)]
      const asked = keys.filter(
        ({ held, purpose }) =>
          (query.held === undefined || held === query.held) &&
          (query.purpose === undefined || purpose === query.purpose),
      )
      return { items: asked.map((key) => keyView(key, usesOf)) }
    },
    hsmKeyShow: async ({ params }) => keyView(await keyLabelled(params.key_label, deps), await readUses(deps)),
    async hsmKeyPublic({ params }) {
      const key = await keyLabelled(params.key_label, deps)
      return { key_label: labelOf(key), public_key_pem: encodePem('PUBLIC KEY', key.spkiDer) }
    },
    hsmKeyGenerate: ({ body }, { caller, requestId }) => {
      const act = { event: 'KEY-01', key: `new:${body.purpose}`, actor: caller.ref, requestId } as const
      return deps.keyChanges(() => generate(body.purpose, body.algorithm ?? 'P-256', act, deps))
    },
    hsmKeyDelete: ({ params }, { caller, requestId }) =>
      deps.keyChanges(async () => {
        const key = await keyLabelled(params.key_label, deps)
        await destroy(key, { event: 'KEY-06', key: key.keyId, actor: caller.ref, requestId }, deps)
        return {}
      }),
  }
}

async function generate(
  purpose: StoredKey['purpose'],
  spec: KeySpec,
  act: KeyAct,
  deps: KeyRouteDeps,
): Promise<KeySummary> {
  return recorded(act, deps, async () => {
    const { keyId } = await deps.keys.generate(purpose, spec)
    const view = keyView(await keyLabelled(labelOf({ purpose, keyId }), deps), await readUses(deps))
    const { key_id, algorithm, held, spki_sha256, attributes } = view
    return { answer: view, details: { key_id, purpose, algorithm, held, spki_sha256, attributes } }
  })
}

/** @throws {DomainError} `key_in_use` */
async function destroy(key: StoredKey, act: KeyAct, deps: KeyRouteDeps): Promise<void> {
  const uses = (await readUses(deps))({ keyId: key.keyId, spkiSha256Hex: decodePublicKey(key.spkiDer).spkiSha256Hex })
  const [use] = uses
  if (use !== undefined) {
    await deps.database.runUnit(() => auditKeyDenied(act, 'key_in_use', deps.audit))
    const what = use.kind === 'ca' ? `the CA ${use.name}` : `the ${use.role} signer of state`
    throw new DomainError('key_in_use', `${labelOf(key)} is the key of ${what}`)
  }
  await recorded(act, deps, async () => {
    await deps.keys.delete(key.keyId)
    return { answer: undefined, details: { purpose: key.purpose, held: key.held } }
  })
}

/** On record before it is done, and how it went after. */
async function recorded<T>(
  act: KeyAct,
  { database, audit }: KeyRouteDeps,
  work: () => Promise<{ answer: T; details: KeyDetails }>,
): Promise<T> {
  await database.runUnit(() => auditKeyAttempt(act, audit))
  try {
    const { answer, details } = await work()
    await database.runUnit(() => auditKeyOutcome(act, { outcome: 'success', details }, audit))
    return answer
  } catch (error) {
    const reasonCode = error instanceof KeyError ? error.code : 'internal'
    await database.runUnit(() => auditKeyOutcome(act, { outcome: 'failure', reasonCode }, audit))
    throw error
  }
}

/** @throws {DomainError} `key_unknown` */
async function keyLabelled(label: string, { keys }: KeyRouteDeps): Promise<StoredKey> {
  const key = (await keys.list()).find((each) => labelOf(each) === label)
  if (key === undefined) throw new DomainError('key_unknown', `there is no key ${label}`)
  return key
}
