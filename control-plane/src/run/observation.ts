import { createServer, type Server, type ServerResponse } from 'node:http'
import { type ControlConfig, listenAddress } from '../config.ts'
import { isLate } from '../crl/routes.ts'
import { crlMarks } from '../crl/store.ts'
import type { DatabaseError } from '../database/errors.ts'
import { epochSeconds } from '../epoch.ts'
import { activeInstances } from '../registry/instances-store.ts'
import { isConnected } from '../registry/view.ts'
import { listenOn } from '../tls/listen.ts'
import type { Core } from './core.ts'
import type { Identities } from './identities.ts'
import type { Messaging } from './messaging.ts'
import type { ControlMetrics } from './metrics.ts'
import type { StatusService } from './status-service.ts'
import type { Steering } from './steering.ts'

export interface ObservationDeps {
  readonly core: Core
  readonly identities: Identities
  readonly steering: Steering
  readonly status: StatusService
  readonly metrics: ControlMetrics
  readonly brokerClient: Messaging
}

/** `/metrics`, `/live`, and `/ready` with every reason why not. For this machine only. */
export async function serveObservation(config: ControlConfig, deps: ObservationDeps): Promise<AsyncDisposable> {
  const server = createServer(
    { requestTimeout: 5000, headersTimeout: 5000, maxHeaderSize: 8192 },
    (request, response) => {
      if (request.method !== 'GET') return answer(response, 405, { status: 'refused' })
      if (request.url === '/live') return answer(response, 200, { status: 'live' })
      if (request.url === '/ready') return ready(response, deps)
      if (request.url !== '/metrics')
        return answer(response, 404, { status: 'unknown', hint: '/metrics, /live or /ready' })
      metricsText(deps).then(
        (text) => response.writeHead(200, { 'content-type': deps.metrics.contentType }).end(text),
        () => answer(response, 500, { status: 'failed' }),
      )
    },
  )
  await listenOn(server, listenAddress(config.listen.metrics))
  return { [Symbol.asyncDispose]: () => closed(server) }
}

function ready(response: ServerResponse, { core, brokerClient }: ObservationDeps): void {
  const reasons = [
    ...(core.database.broken.aborted ? [(core.database.broken.reason as DatabaseError).code] : []),
    ...(brokerClient.isConnected() ? [] : ['broker_disconnected']),
    ...(core.keys.hsm?.status().breaker === 'open' ? ['hsm_unavailable'] : []),
  ]
  const status = reasons.length === 0 ? 'ready' : 'not ready'
  answer(response, reasons.length === 0 ? 200 : 503, { status, reasons })
}

/** Gauges are read when somebody asks. */
async function metricsText({
  core,
  identities,
  steering,
  status,
  metrics,
  brokerClient,
}: ObservationDeps): Promise<string> {
  status.readMetrics()
  const at = core.now()
  const instances = await core.database.read(() => activeInstances(core.installation.homeOrganization))
  const connected = instances.filter((one) => isConnected(one, epochSeconds(at))).length
  metrics.vcc_agents.set({ connected: 'yes' }, connected)
  metrics.vcc_agents.set({ connected: 'no' }, instances.length - connected)
  metrics.vcc_policy_version.set({}, steering.policyInForce()?.version ?? 0)
  const marks = await core.database.read(crlMarks)
  for (const kind of ['full', 'delta'] as const) {
    const left = marks.filter((mark) => mark.kind === kind).map((mark) => mark.next_update - epochSeconds(at))
    if (left.length > 0) metrics.vcc_crl_next_update_seconds.set({ kind }, Math.min(...left))
  }
  metrics.vcc_crls_late.set({}, marks.filter((mark) => isLate(mark, epochSeconds(at))).length)
  hsmGauges(core, metrics)
  const ends = [
    ['control', identities.control().certificate.notAfter],
    ['broker', brokerClient.certificateEnds()],
    ['state', identities.signer.notAfter ?? at],
    ...core.authorities.all().map((one) => [one.name, one.certificate.notAfter] as const),
  ] as const
  for (const [name, notAfter] of ends) {
    if (notAfter === undefined) continue // no broker was met yet
    metrics.cert_expiry_days.set({ name }, (notAfter.getTime() - at.getTime()) / DAY_MS)
  }
  return metrics.text()
}

function hsmGauges({ keys }: Core, metrics: ControlMetrics): void {
  const status = keys.hsm?.status()
  if (status === undefined) return
  metrics.vcc_hsm_requests.set({ state: 'waiting' }, status.waiting)
  metrics.vcc_hsm_requests.set({ state: 'under_way' }, status.underWay)
  for (const state of ['closed', 'half_open', 'open'] as const) {
    metrics.vcc_hsm_breaker.set({ state }, status.breaker === state ? 1 : 0)
  }
}

const DAY_MS = 86_400_000

function answer(response: ServerResponse, status: number, body: object): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(`${JSON.stringify(body)}\n`)
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
