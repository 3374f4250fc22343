import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer as createTlsServer,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls'
import { NOTHING_DENIED } from '@vcc/mesh'
import { compile, indexPolicy, parseMatrix, workloadId } from '@vcc/policy'
import { type TestCredential, type TestPki, testPki } from '@vcc/testkit'
import type { CloseRecord } from '../close-record.ts'
import type { ProxyConfig, ProxyLimits } from '../config.ts'
import { createDataPlane, type DataPlane } from '../data-plane.ts'
import type { ProxyMetrics } from '../observe.ts'
import { NO_EVENTS } from '../observe.ts'
import { createSnapshot, type Mode, type Snapshot, type SnapshotInput } from '../snapshot.ts'
import type { Upstream } from '../upstream.ts'
import { ALPN_MESH } from '../wire.ts'

/** The matrix of the sources, as far as the data plane needs it. */
export const MATRIX = `
service_communication_policies:
  argus:
    allowed_outbound: [covina, clara, vpb]
    required_auth: mtls_certificate
  covina:
    allowed_outbound: [clara, veritas]
    required_auth: management_core_certificate
    special_permissions: [uds3_backend, registry_management]
  clara:
    allowed_outbound: [covina]
    required_auth: ai_processing_certificate
  veritas:
    allowed_outbound: [covina, clara]
    required_auth: orchestrator_certificate
  vpb:
    allowed_outbound: [argus, covina]
    required_auth: ui_service_certificate
`
/** The same without argus' edge to covina. */
export const MATRIX_WITHOUT_EDGE = MATRIX.replace('[covina, clara, vpb]', '[clara, vpb]')

const CLASSES = {
  argus: 1,
  covina: 2,
  clara: 3,
  veritas: 4,
  vpb: 5,
} as const
export type ServiceName = keyof typeof CLASSES

const CLASS_NAMES = [
  'mtls_certificate',
  'management_core_certificate',
  'ai_processing_certificate',
  'orchestrator_certificate',
  'ui_service_certificate',
] as const

function policyOf(pki: TestPki, matrix = MATRIX, version = 1) {
  const parsed = parseMatrix(matrix, { organization: pki.organization })
  if (!parsed.ok) throw new TypeError(JSON.stringify(parsed.problems))
  return indexPolicy(compile({ trustDomain: pki.trustDomain, version, matrices: [parsed.matrix] }))
}

export function idOf(pki: TestPki, service: string) {
  return workloadId(pki.trustDomain, pki.organization, service)
}

export function leafOf(pki: TestPki, service: ServiceName): TestCredential {
  return pki.service(service, { class: CLASSES[service] })
}

export interface SnapshotChange extends Partial<Omit<SnapshotInput, 'policy' | 'identity'>> {
  readonly matrix?: string
  readonly credential?: TestCredential
}

let generations = 0

export function snapshotInput(
  pki: TestPki,
  service: ServiceName,
  mode: Mode,
  change: SnapshotChange = {},
): SnapshotInput {
  const { matrix, credential = leafOf(pki, service), ...rest } = change
  generations += 1
  return {
    label: { epoch: 1, fleet: 1, agent: generations },
    enforceUntil: new Date(Date.now() + 3_600_000),
    trustDomain: pki.trustDomain,
    anchors: [pki.root.certificate],
    issuers: [issuerRow(pki)],
    denied: NOTHING_DENIED,
    classOids: classOidsOf(pki),
    policy: policyOf(pki, matrix, generations),
    identity: { keyPem: credential.keyPem, chain: credential.chainDer },
    mode,
    upstreams: [],
    ...rest,
  }
}

export function issuerRow(pki: TestPki) {
  return {
    spkiSha256: pki.servicesCa.certificate.publicKey.spkiSha256Hex,
    organizations: [pki.organization],
    classes: pki.classOids,
    purposes: ['service'],
  }
}

function classOidsOf(pki: TestPki): Record<string, string> {
  return Object.fromEntries(CLASS_NAMES.map((name, index) => [name, pki.classOids[index] ?? '']))
}

/** One agent with its listeners on free ports of loopback. */
export interface TestAgent extends AsyncDisposable {
  readonly plane: DataPlane
  readonly records: CloseRecord[]
  readonly handshakes: string[]
  readonly decisions: string[]
  readonly bytes: { in: number; out: number }
  readonly inboundPort: () => number
  readonly outboundPort: (upstream: string) => number
  /** Puts a snapshot in force that differs from the last one in what is given. */
  change(change: SnapshotChange): Promise<Snapshot>
  /** The first record that fits, now or later. */
  record(fits: (record: CloseRecord) => boolean): Promise<CloseRecord>
}

export interface AgentOptions {
  readonly service: ServiceName
  readonly mode: Mode
  readonly targetPort?: number
  readonly targetPath?: string
  readonly upstreams?: readonly Upstream[]
  readonly outbound?: ProxyConfig['outbound']
  readonly limits?: Partial<ProxyLimits>
  readonly nameServers?: readonly string[]
  readonly state?: SnapshotChange
  readonly now?: () => Date
}

export async function startAgent(pki: TestPki, options: AgentOptions): Promise<TestAgent> {
  const records: CloseRecord[] = []
  const handshakes: string[] = []
  const decisions: string[] = []
  const bytes = { in: 0, out: 0 }
  const metrics: ProxyMetrics = {
    opened() {},
    closed() {},
    handshake: (direction, result) => handshakes.push(`${direction} ${result}`),
    bytes: (_direction, way, count) => (bytes[way] += count),
    decision: (direction, _source, _target, result) => decisions.push(`${direction} ${result}`),
  }
  const config: ProxyConfig = {
    inbound: {
      listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      target:
        options.targetPath === undefined
          ? { kind: 'tcp', host: '127.0.0.1', port: options.targetPort ?? 1 }
          : { kind: 'unix', path: options.targetPath },
    },
    outbound:
      options.outbound ??
      (options.upstreams ?? []).map(({ name }) => ({
        upstream: name,
        listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      })),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.nameServers === undefined ? {} : { nameServers: options.nameServers }),
  }
  const plane = createDataPlane(config, {
    now: options.now ?? (() => new Date()),
    events: NO_EVENTS,
    metrics,
    onClose: (record) => records.push(record),
  })
  let state: SnapshotChange = {
    credential: leafOf(pki, options.service),
    upstreams: options.upstreams ?? [],
    ...options.state,
  }
  let snapshot: Snapshot | undefined
  const change = async (next: SnapshotChange) => {
    state = { ...state, ...next }
    snapshot = createSnapshot(snapshotInput(pki, options.service, options.mode, state), snapshot)
    await plane.apply(snapshot)
    return snapshot
  }
  await change({})
  const port = (name: string) => {
    const endpoint = plane.status().listeners.find((listener) => listener.name === name)?.endpoint ?? ''
    return Number(endpoint.slice(endpoint.lastIndexOf(':') + 1))
  }
  return {
    plane,
    records,
    handshakes,
    decisions,
    bytes,
    inboundPort: () => port('inbound'),
    outboundPort: port,
    change,
    record: (fits) => eventually(() => records.find(fits)),
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
  }
}

export interface PairOptions {
  /** A fresh one when absent. */
  readonly pki?: TestPki
  readonly mode: Mode
  readonly onTcp?: (socket: Socket) => void
  readonly onRequest?: ServiceHandler
  readonly limits?: Partial<ProxyLimits>
  readonly callerState?: SnapshotChange
  readonly calleeState?: SnapshotChange
  readonly callee?: ServiceName
}

/** argus calls covina (or another): the local services are plain, everything between the agents is real. */
export async function startPair(options: PairOptions) {
  const pki = options.pki ?? testPki()
  const callee = options.callee ?? 'covina'
  const stack = new AsyncDisposableStack()
  const service = stack.use(await startService(options))
  const limits = options.limits ?? {}
  const right = stack.use(
    await startAgent(pki, {
      service: callee,
      mode: options.mode,
      targetPort: service.port,
      limits,
      state: options.calleeState ?? {},
    }),
  )
  const upstream = meshUpstream(pki, callee, options.mode, [right.inboundPort()])
  const left = stack.use(
    await startAgent(pki, {
      service: 'argus',
      mode: options.mode,
      upstreams: [upstream],
      limits,
      state: options.callerState ?? {},
    }),
  )
  return {
    pki,
    service,
    caller: left,
    callee: right,
    /** Where the local service of argus reaches covina. */
    port: left.outboundPort(callee),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

export function meshUpstream(
  pki: TestPki,
  service: string,
  mode: Mode,
  ports: readonly number[],
  host = '127.0.0.1',
): Upstream {
  const addresses = ports.map((port) => ({ instance: null, host, port }))
  return { kind: 'mesh', id: idOf(pki, service), name: service, mode, addresses }
}

export type ServiceHandler = (incoming: IncomingMessage, response: ServerResponse) => unknown

/** A plain local service, which knows nothing of TLS. */
export async function startService(options: { onTcp?: (socket: Socket) => void; onRequest?: ServiceHandler }) {
  const sockets = new Set<Socket>()
  let accepted = 0
  const server: Server =
    options.onRequest === undefined
      ? createServer({ allowHalfOpen: true }, options.onTcp ?? echo)
      : createHttpServer(
          { keepAliveTimeout: 30_000 },
          (incoming, response) => void options.onRequest?.(incoming, response),
        )
  server.on('connection', (socket: Socket) => {
    accepted += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    accepted: () => accepted,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    },
  }
}

export function echo(socket: Socket): void {
  socket.pipe(socket)
}

export function connectPlain(port: number, allowHalfOpen = true): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen })
  socket.on('error', () => undefined)
  return socket
}

/** How a plain connection ended: everything read, and whether it was a reset. */
export async function readToEnd(socket: Socket): Promise<{ bytes: Buffer; error: string | undefined }> {
  const chunks: Buffer[] = []
  let error: string | undefined
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', (cause: Error & { code?: string }) => (error = cause.code ?? cause.message))
  socket.on('end', () => socket.end())
  if (!socket.closed) await once(socket, 'close').catch(() => undefined)
  return { bytes: Buffer.concat(chunks), error }
}

/** A TLS client that nobody of us wrote, as far as Node can be one. */
export async function tlsClient(
  port: number,
  pki: TestPki,
  credential: TestCredential | undefined,
  options: ConnectionOptions = {},
): Promise<TLSSocket> {
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    ca: pki.rootPem,
    ...(credential === undefined ? {} : { key: credential.keyPem, cert: credential.chainPem }),
    checkServerIdentity: () => undefined,
    rejectUnauthorized: false,
    ALPNProtocols: [ALPN_MESH],
    ...options,
  })
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  return socket
}

/** A TLS server that is none of ours; asks for a client certificate and takes any. */
export async function startTlsServer(
  pki: TestPki,
  credential: TestCredential,
  options: TlsOptions,
  onSocket: (socket: TLSSocket) => void,
) {
  const sockets = new Set<Socket>()
  const server = createTlsServer({
    key: credential.keyPem,
    cert: credential.chainPem,
    ca: pki.rootPem,
    requestCert: true,
    rejectUnauthorized: false,
    ...options,
  })
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.on('tlsClientError', () => undefined)
  server.on('secureConnection', (socket) => {
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** What an agent's listener answers to a client: `OK`, or the refusal. */
export async function answerOf(socket: TLSSocket): Promise<string> {
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  await eventually(() => (text.length >= 2 || socket.closed ? true : undefined))
  if (text.startsWith('OK')) return 'OK'
  if (!socket.closed && !socket.readableEnded) await once(socket, 'end').catch(() => undefined)
  return text
}

export function refusalCode(answer: string): string {
  return answer.startsWith('NO') ? String((JSON.parse(answer.slice(4)) as { code: unknown }).code) : answer
}

/** Asks until there is an answer; a deadline far beyond what it takes keeps a broken test from hanging. */
export async function eventually<T>(ask: () => T | undefined, deadlineMs = 20_000): Promise<T> {
  const giveUpAt = Date.now() + deadlineMs
  for (;;) {
    const answer = ask()
    if (answer !== undefined) return answer
    if (Date.now() > giveUpAt) throw new Error('it never came')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export async function bodyOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
