import { instanceTopics } from '@vcc/mesh'
import type { UnitAccess } from '../database/access.ts'
import { inBatches } from './batches.ts'
import type { Mailing } from './mailing.ts'
import { dropDocument, retiredHolders } from './store.ts'

/** Sendings to all instances that were registered when they began. */
export interface Rounds {
  readonly run: (round: () => Promise<void>) => Promise<void>
  /** When none of those is under way that are now. */
  readonly ended: () => Promise<void>
}

export function createRounds(): Rounds {
  const underWay = new Set<Promise<void>>()
  return {
    async run(round) {
      const started = round()
      underWay.add(started)
      await started.finally(() => underWay.delete(started))
    },
    async ended() {
      await Promise.allSettled(underWay)
    },
  }
}

/**
 * Nothing of an instance that is not registered any more stays where it could be fetched. Its row is what remembers
 * that the broker, which may keep more than we do, has to be told; it goes when the broker has confirmed.
 */
export async function dropRetired(deps: { database: UnitAccess; mailing: Mailing; rounds: Rounds }): Promise<void> {
  const { database, mailing, rounds } = deps
  const retired = await database.read(retiredHolders)
  if (retired.length === 0) return
  await rounds.ended() // none of them sends a document behind its clearing
  await inBatches(retired, async (instance) => {
    const { state, refresh } = instanceTopics(instance).down
    const cleared = await Promise.all([mailing.clear(state), mailing.clear(refresh)])
    if (cleared.every(Boolean)) await database.runUnit(() => dropDocument(instance))
  })
}
