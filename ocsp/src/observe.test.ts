import { createLogger, createMetrics } from '@vcc/runtime'
import { describe, expect, test } from 'vitest'
import { ocspLog } from './events.ts'
import { OCSP_METRICS, ocspMetricsReader } from './metrics.ts'
import { OcspRefusal, REFUSALS } from './refusal.ts'
import { CAUSES, OUTCOMES } from './tally.ts'
import { ask, CA_ID, STARTED, world } from './testing/world.ts'

/** A log and the lines it wrote, parsed. */
function lines() {
  const written: Record<string, unknown>[] = []
  const log = createLogger({ name: 'ocsp', stream: { write: (line) => void written.push(JSON.parse(line) as never) } })
  return { log, written }
}

describe('ocsp-B metrics', () => {
  test('are brought up to the counts when they are read, and no further', async () => {
    const made = world()
    const responder = made.responder()
    const metrics = createMetrics(OCSP_METRICS, { processMetrics: false })
    const read = ocspMetricsReader(metrics, {
      responder,
      asOfSeconds: () => made.standing.asOfSeconds - 30,
      keys: () => [...made.keys].flatMap(([id, [key]]) => (key === undefined ? [] : [[id, key] as const])),
      now: made.clock.now,
    })
    const request = ask(made.ca, made.leaf.certificate)
    await responder.respond(request)
    read()
    made.clock.advance(5)
    await responder.respond(request)
    await responder.respond(new Uint8Array(3))
    read()
    read()
    const text = await metrics.text()
    for (const line of [
      'vcc_ocsp_requests_total 3',
      `vcc_ocsp_request_octets_total ${request.length * 2 + 3}`,
      `vcc_ocsp_answers_total{issuer="${CA_ID}",outcome="good"} 2`,
      'vcc_ocsp_answers_total{issuer="",outcome="malformedRequest"} 1',
      'vcc_ocsp_refusals_total{reason="request_malformed"} 1',
      'vcc_ocsp_causes_total{cause="new"} 1',
      'vcc_ocsp_causes_total{cause="repeated"} 1',
      'vcc_ocsp_answer_age_seconds_total 5',
      'vcc_ocsp_signings 0',
      'vcc_ocsp_waiting 0',
      'vcc_ocsp_kept_answers 1',
      'vcc_ocsp_source_age_seconds 35',
    ]) {
      expect(text).toContain(`${line}\n`)
    }
    expect(text).toMatch(new RegExp(`vcc_ocsp_responder_expiry_days\\{issuer="${CA_ID}"\\} 6\\.99`))
  })

  test('every refusal, outcome and cause has its label', () => {
    expect(OCSP_METRICS.vcc_ocsp_refusals_total.labels.reason).toEqual(Object.keys(REFUSALS))
    expect(OCSP_METRICS.vcc_ocsp_answers_total.labels.outcome).toEqual(OUTCOMES)
    expect(OCSP_METRICS.vcc_ocsp_causes_total.labels.cause).toEqual(CAUSES)
  })
})

describe('ocsp-B log volume', () => {
  test('a hundred answers are one line', async () => {
    const made = world()
    const { log, written } = lines()
    using ocsp = ocspLog(log, made.clock.now)
    const { respond } = made.responder({ onAnswer: ocsp.onAnswer })
    for (let i = 0; i < 250; i++) await respond(ask(made.ca, made.leaf.certificate))
    const line = (count: number) => ({
      event: 'ocsp_answers',
      answers: Array(count).fill(`00112233:${made.leaf.certificate.serialHex}:good`),
    })
    expect(written).toMatchObject([line(100), line(100)])
    ocsp.flush()
    expect(written).toMatchObject([line(100), line(100), line(50)])
    ocsp.flush()
    expect(written).toHaveLength(3)
  })

  test('a few answers are written after a moment', async () => {
    const { log, written } = lines()
    using ocsp = ocspLog(log, () => STARTED)
    ocsp.onAnswer(CA_ID, '01', 'unknown')
    await expect.poll(() => written, { timeout: 20_000 }).toMatchObject([{ answers: ['00112233:01:unknown'] }])
  })

  test('a failure is told at once, and then every ten seconds, with how often it came', () => {
    let nowMs = STARTED.getTime()
    const { log, written } = lines()
    const { onFailure } = ocspLog(log, () => new Date(nowMs))
    const failed = (): void => onFailure(new OcspRefusal('signer_failed', 'no', { cause: new Error('pin') }))
    for (let i = 0; i < 30; i++) {
      failed()
      nowMs += 1000
    }
    onFailure(new OcspRefusal('source_failed', 'no', { cause: new Error('disk') }))
    expect(written.map(({ event, reason, requests }) => [event, reason, requests])).toEqual([
      ['ocsp_failing', 'signer_failed', 1],
      ['ocsp_failing', 'signer_failed', 10],
      ['ocsp_failing', 'signer_failed', 10],
      ['ocsp_failing', 'source_failed', 1],
    ])
    nowMs -= 3_600_000 // a clock that went back does not silence it
    failed()
    expect(written).toHaveLength(5)
  })
})
