import { MeshError, type ReplyBody, verifyReply } from '@vcc/mesh'
import type { StateKeeper } from '../state/keeper.ts'
import type { MeshTrust } from '../trust/trust-files.ts'
import type { Sent } from './uplink.ts'

/** Requests that wait for a signed answer over MQTT. */
export interface Answers {
  /** Resolves with the verified answer, or undefined when none came in time or `signal` aborted. */
  readonly await: (sent: Sent, deadlineMs: number, signal: AbortSignal) => Promise<ReplyBody | undefined>
  /** A message on the reply topic. One that answers nothing that waits, or is not signed as it should be, is dropped. */
  readonly take: (jws: string) => void
}

export function createAnswers(deps: { trust: () => MeshTrust; keeper: () => StateKeeper; now: () => Date }): Answers {
  const waiting = new Set<{ sent: Sent; settle: (body: ReplyBody | undefined) => void }>()
  return {
    await(sent, deadlineMs, signal) {
      return new Promise((resolve) => {
        const entry = {
          sent,
          settle: (body: ReplyBody | undefined) => {
            clearTimeout(late)
            signal.removeEventListener('abort', giveUp)
            waiting.delete(entry)
            resolve(body)
          },
        }
        const giveUp = () => entry.settle(undefined)
        const late = setTimeout(giveUp, deadlineMs)
        waiting.add(entry)
        signal.addEventListener('abort', giveUp, { once: true })
        if (signal.aborted) giveUp()
      })
    },
    take(jws) {
      const keeper = deps.keeper()
      const by = { root: deps.trust().root, trust: keeper.trust, now: deps.now(), floor: keeper.floor }
      for (const { sent, settle } of waiting) {
        try {
          settle(verifyReply(jws, sent, by))
          return
        } catch (error) {
          if (!(error instanceof MeshError)) throw error
        }
      }
    },
  }
}
