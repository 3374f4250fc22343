import { ACCEPTED, REFUSED } from '@vcc/testkit'
import { type Did, judge, type Outcome } from './suite.ts'

/** Our own cases, which run where nobody's vectors are: one for each failure code, and a few with no fault. */
export function fixtures(): readonly Outcome[] {
  const refused = Object.entries(REFUSED).flatMap(([feature, cases]) =>
    Object.entries(cases).map(([code, run]): Outcome => {
      return { id: code, feature, isPedantic: false, expected: 'reject', did: refusedWith(code, judge(run)) }
    }),
  )
  const accepted = Object.entries(ACCEPTED).map(([id, run]): Outcome => {
    return { id, feature: 'no fault', isPedantic: false, expected: 'accept', did: judge(run) }
  })
  return [...refused, ...accepted]
}

/** What is refused for another reason is not refused for this one. */
function refusedWith(code: string, did: Did): Did {
  return did.is === 'rejected' && did.code !== code ? { is: 'accepted' } : did
}
