import {
  canonicalJson,
  FLEET_TOPICS,
  INLINE_DOCUMENT_BYTES,
  instanceTopics,
  instantOf,
  type JwsSigner,
  type Lifetimes,
  refreshOf,
  type Signed,
  type StateDocument,
} from '@vcc/mesh'
import { epochSeconds } from '../epoch.ts'
import type { StateMark, StateRow } from './store.ts'

export interface MailingDeps {
  readonly lifetimes: Lifetimes
  readonly signer: JwsSigner
  readonly publish: (topic: string, payload: string, retain: boolean) => Promise<boolean>
  readonly now: () => Date
}

/** Signed state on its way to the retained topics of the broker. */
export interface Mailing {
  /** What is older than this is not sent from now on, whoever has it in hand. */
  readonly announce: (mark: StateMark) => void
  /** Retained, with its refresh; a large document travels as its refresh alone, and agents pull it. */
  readonly document: (row: StateRow) => Promise<void>
  readonly refresh: (mark: StateMark) => Promise<void>
  /** Not retained, and not at all when it is large: agents pull where something is missing. */
  readonly inline: (topic: string, jws: string) => Promise<void>
  /** Whether the broker confirmed that it retains nothing there. */
  readonly clear: (topic: string) => Promise<boolean>
}

export function createMailing(deps: MailingDeps): Mailing {
  const newest = new Map<string, StateMark>()
  // Asked right before each sending: a republication that was under way must not put an old document over a new one.
  const isOld = (mark: StateMark) => {
    const known = newest.get(mark.instance_id)
    if (known === undefined || known.epoch !== mark.epoch) return (known?.epoch ?? 0) > mark.epoch
    return known.generation > mark.generation
  }
  const refresh = async (mark: StateMark) => {
    const jws = await signedRefresh(mark, deps)
    if (!isOld(mark)) await deps.publish(topicsOf(mark).refresh, jws, true)
  }
  return {
    announce: (mark) => {
      if (!isOld(mark)) newest.set(mark.instance_id, mark)
    },
    async document(row) {
      if (isOld(row)) return
      if (row.jws.length <= INLINE_DOCUMENT_BYTES) await deps.publish(topicsOf(row).state, row.jws, true)
      await refresh(row)
    },
    refresh,
    async inline(topic, jws) {
      if (jws.length <= INLINE_DOCUMENT_BYTES) await deps.publish(topic, jws, false)
    },
    clear: (topic) => deps.publish(topic, '', true),
  }
}

export async function signedRefresh(mark: StateMark, deps: Omit<MailingDeps, 'publish'>): Promise<string> {
  const target = {
    kind: mark.kind,
    instance: mark.kind === 'fleet' ? null : mark.instance_id,
    epoch: mark.epoch,
    generation: mark.generation,
    contentHash: mark.content_hash,
  }
  return (await refreshOf(target, deps.lifetimes, deps.signer, { now: deps.now() })).jws
}

export function rowOf({ jws, payload }: Signed<StateDocument>): StateRow {
  return {
    kind: payload.kind,
    instance_id: payload.instance ?? '',
    epoch: payload.epoch,
    generation: payload.generation,
    content_hash: payload.contentHash,
    content: canonicalJson(payload.content),
    jws,
    issued_at: epochSeconds(instantOf(payload.issuedAt)),
    accept_until: epochSeconds(instantOf(payload.acceptUntil)),
    enforce_until: epochSeconds(instantOf(payload.enforceUntil)),
  }
}

function topicsOf(mark: StateMark): { readonly state: string; readonly refresh: string } {
  return mark.kind === 'fleet'
    ? { state: FLEET_TOPICS.snapshot, refresh: FLEET_TOPICS.refresh }
    : instanceTopics(mark.instance_id).down
}
