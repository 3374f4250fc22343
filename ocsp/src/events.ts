import { defineEvents, event, type Log } from '@vcc/runtime'
import { type AnswerLog, answerLog } from './answer-log.ts'
import type { OcspRefusal } from './refusal.ts'

const ocspEvents = defineEvents({
  ocsp_answers: event<{ answers: readonly string[] }>('info', 'certificates were asked about'),
  ocsp_failing: event<{ reason: string; requests: number }>('error', 'OCSP requests fail for a reason on our side'),
})

/** Both kinds of event in bounds, as `ResponderDeps` wants them: failures at most once in ten seconds for each reason. */
export function ocspLog(log: Log, now: () => Date): AnswerLog & { onFailure: (refusal: OcspRefusal) => void } {
  const events = ocspEvents(log)
  const failing = new Map<string, { toldMs: number; requests: number }>()
  return {
    ...answerLog((answers) => events.ocsp_answers({ answers })),
    onFailure(refusal) {
      const nowMs = now().getTime()
      const last = failing.get(refusal.code) ?? { toldMs: Number.NEGATIVE_INFINITY, requests: 0 }
      last.requests += 1
      failing.set(refusal.code, last)
      if (nowMs - last.toldMs < QUIET_MS && nowMs >= last.toldMs) return
      events.ocsp_failing({ reason: refusal.code, requests: last.requests }, refusal.cause)
      last.toldMs = nowMs
      last.requests = 0
    },
  }
}

const QUIET_MS = 10_000
