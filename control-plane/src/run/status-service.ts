import { createResponder, DEFAULT_POLICY, ocspMetricsReader, ocspPlugin } from '@vcc/ocsp'
import type { FastifyPluginAsync } from 'fastify'
import { rateLimit } from '../rate-limit.ts'
import { createResponderKeys } from '../status/responder-keys.ts'
import { databaseSource } from '../status/source.ts'
import type { Core } from './core.ts'
import type { ControlEvents } from './events.ts'
import type { ControlMetrics } from './metrics.ts'

/** The embedded OCSP responder. */
export interface StatusService {
  readonly plugin: FastifyPluginAsync
  /** Before anybody is told of a revocation: no answer of before is given again. */
  readonly statusChanged: () => void
  /** New responder certificates where they are due. */
  readonly renewKeys: () => Promise<void>
  /** Brings the metrics up to date. */
  readonly readMetrics: () => void
}

export async function statusService(
  core: Core,
  { events, metrics }: { events: ControlEvents; metrics: ControlMetrics },
): Promise<StatusService> {
  const { now } = core
  const source = databaseSource(core)
  const keys = createResponderKeys(core)
  // Without a responder key a CA's requests are `unauthorized`; the job tries again. It is no reason not to start.
  await keys.renew().catch((cause: unknown) => events.ocsp_failed({ reason: 'responder_key' }, cause))
  const mayTell = rateLimit(FAILURES_TOLD)
  const responder = createResponder({
    source,
    keyOf: keys.keyOf,
    policyOf: () => POLICY,
    now,
    onFailure: ({ code, cause }) => {
      if (mayTell(code)) events.ocsp_failed({ reason: code }, cause)
    },
  })
  return {
    plugin: async (app) => {
      await app.register(ocspPlugin, { responder, now })
    },
    statusChanged: source.changed,
    renewKeys: keys.renew,
    readMetrics: ocspMetricsReader(metrics, {
      responder,
      asOfSeconds: () => source.standing().asOfSeconds,
      keys: keys.all,
      now,
    }),
  }
}

/** What a verifier outside is exposed to after a revocation: it may go on with an answer for so long. */
const POLICY = { ...DEFAULT_POLICY, validitySeconds: 3600 }
/** Each reason in ten seconds once. */
const FAILURES_TOLD = { perSecond: 0.1, burst: 1 }
