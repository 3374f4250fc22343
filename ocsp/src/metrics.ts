import type { Metrics } from '@vcc/runtime'
import { REFUSALS, type Refusal } from './refusal.ts'
import type { Responder } from './responder.ts'
import type { ResponderKey } from './responder-key.ts'
import { CAUSES, OUTCOMES } from './tally.ts'

const REFUSAL_CODES = Object.keys(REFUSALS) as Refusal[] // the table has no other keys

/** The metrics of a responder, to stand in its process's table. */
export const OCSP_METRICS = {
  vcc_ocsp_requests_total: { type: 'counter', help: 'OCSP requests' },
  vcc_ocsp_request_octets_total: { type: 'counter', help: 'Octets of OCSP requests; over requests, their mean size' },
  vcc_ocsp_answers_total: {
    type: 'counter',
    help: 'OCSP answers, by issuer (empty where none was found) and outcome',
    labels: { issuer: 'open', outcome: OUTCOMES },
  },
  vcc_ocsp_refusals_total: {
    type: 'counter',
    help: 'Requests that got an OCSP error, by reason',
    labels: { reason: REFUSAL_CODES },
  },
  vcc_ocsp_causes_total: {
    type: 'counter',
    help: 'Where answers came from: kept ones repeated or confirmed, or signed and why',
    labels: { cause: CAUSES },
  },
  vcc_ocsp_answer_age_seconds_total: {
    type: 'counter',
    help: 'Age of repeated answers since thisUpdate; over those repeated, their mean age',
  },
  vcc_ocsp_signings: { type: 'gauge', help: 'Signatures under way' },
  vcc_ocsp_waiting: { type: 'gauge', help: 'Requests waiting for their turn to be signed' },
  vcc_ocsp_kept_answers: { type: 'gauge', help: 'Answers kept' },
  vcc_ocsp_kept_octets: { type: 'gauge', help: 'Octets of answers kept' },
  vcc_ocsp_source_age_seconds: { type: 'gauge', help: 'Age of what the source of statuses knows' },
  vcc_ocsp_responder_expiry_days: {
    type: 'gauge',
    help: 'Days until the certificate of the responder key in use expires',
    labels: { issuer: 'open' },
  },
} as const

export type OcspMetrics = Pick<Metrics<typeof OCSP_METRICS>, keyof typeof OCSP_METRICS>

export interface MetricsReaderDeps {
  readonly responder: Pick<Responder, 'tally' | 'load'>
  readonly asOfSeconds: () => number
  readonly keys: () => Iterable<readonly [issuerId: string, key: ResponderKey]>
  readonly now: () => Date
}

/** Brings the metrics up to the responder's counts: for `beforeText`, so that answers need not touch them. */
export function ocspMetricsReader(metrics: OcspMetrics, deps: MetricsReaderDeps): () => void {
  const seen = new Map<string, number>()
  const grown = (name: string, count: number): number => {
    const by = count - (seen.get(name) ?? 0)
    seen.set(name, count)
    return by
  }
  return () => {
    const { tally, load } = deps.responder
    metrics.vcc_ocsp_requests_total.add({}, grown('requests', tally.requests))
    metrics.vcc_ocsp_request_octets_total.add({}, grown('octets', tally.requestOctets))
    metrics.vcc_ocsp_answer_age_seconds_total.add({}, grown('age', tally.ageSeconds))
    for (const [issuer, outcomes] of tally.outcomes) {
      for (const outcome of OUTCOMES) {
        const by = grown(`${issuer} ${outcome}`, outcomes[outcome])
        if (by > 0) metrics.vcc_ocsp_answers_total.add({ issuer, outcome }, by)
      }
    }
    for (const reason of REFUSAL_CODES) {
      metrics.vcc_ocsp_refusals_total.add({ reason }, grown(reason, tally.refusals[reason]))
    }
    for (const cause of CAUSES) metrics.vcc_ocsp_causes_total.add({ cause }, grown(cause, tally.causes[cause]))
    const { signing, waiting, answers, octets } = load()
    metrics.vcc_ocsp_signings.set({}, signing)
    metrics.vcc_ocsp_waiting.set({}, waiting)
    metrics.vcc_ocsp_kept_answers.set({}, answers)
    metrics.vcc_ocsp_kept_octets.set({}, octets)
    const nowMs = deps.now().getTime()
    metrics.vcc_ocsp_source_age_seconds.set({}, Math.max(0, nowMs / 1000 - deps.asOfSeconds()))
    for (const [issuer, { certificate }] of deps.keys()) {
      metrics.vcc_ocsp_responder_expiry_days.set({ issuer }, (certificate.notAfter.getTime() - nowMs) / 86_400_000)
    }
  }
}
