import { createServer as createTcpServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import type { Permit } from '@vcc/policy'
import type { SocketAddress } from '../address.ts'
import { createAdmission } from './admission.ts'
import type { ProxyLimits } from './config.ts'
import type { Registry } from './connections.ts'
import { connectionId } from './dial-handshake.ts'
import { boundEndpoint, connectTo, ignore, KEEP_ALIVE_MS, listenOn, resetSocket } from './endpoint.ts'
import { type Evidence, evidenceOf } from './gate.ts'
import type { InboundHttp } from './inbound-http.ts'
import { type Admitted, createInboundUnit, type InboundUnit } from './inbound-unit.ts'
import type { ProxyEvents, ProxyMetrics } from './observe.ts'
import type { Refusal } from './refusal.ts'
import type { Snapshot } from './snapshot.ts'
import { splice } from './splice.ts'
import { endOf } from './splice-end.ts'
import type { Tls } from './tls.ts'
import { ALPN_MESH, ALPN_SELF_CHECK, encodeOk, encodeRefusal } from './wire.ts'

/** A connection whose handshake is done, on its way to the local service. */
export interface InboundConnection {
  readonly socket: TLSSocket
  readonly raw: Socket
  readonly unit: InboundUnit
  /** Whether the client is an agent of ours; others get no `OK` and no refusal record. */
  readonly isAgent: boolean
  readonly reset: () => void
}

export interface Inbound {
  start(): Promise<void>
  /** Takes no further connections. */
  stop(): void
  readonly endpoint: () => SocketAddress | undefined
  readonly handshakes: () => number
  /** Connections of other agents, handshakes among them. */
  readonly size: () => number
  [Symbol.asyncDispose](): Promise<void>
}

export interface InboundDeps {
  readonly current: () => Snapshot | undefined
  readonly registry: Registry
  readonly http: InboundHttp
  readonly limits: ProxyLimits
  readonly metrics: ProxyMetrics
  readonly events: ProxyEvents
  /** Whether there are as many connections as there may be, both ways together. */
  readonly isFull: () => boolean
  readonly now: () => Date
}

/**
 * The one mutual-TLS listener. Each generation of key, certificate and anchors has a TLS server of its own that never
 * changes; the TCP listener hands every socket to the one in force. So no option can be lost in a swap, and a handshake
 * ends under the generation it began with.
 */
export function createInbound(listen: SocketAddress, target: SocketAddress, deps: InboundDeps): Inbound {
  const admission = createAdmission({
    total: deps.limits.maxHandshakes,
    perAddress: deps.limits.maxHandshakesPerAddress,
  })
  const raws = new Map<string, Accepted>()
  const open = new Set<Socket>()
  const servers = new WeakMap<Tls, TlsServer>()
  const listener = createTcpServer(
    { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS },
    accept,
  )

  function accept(raw: Socket): void {
    raw.on('error', ignore)
    const snapshot = deps.current()
    const address = raw.remoteAddress ?? ''
    const refused = snapshot === undefined ? 'not_ready' : deps.isFull() ? 'connection_limit' : undefined
    const leave = refused === undefined ? admission.enter(address) : undefined
    if (snapshot === undefined || leave === undefined) {
      deps.metrics.handshake('inbound', refused ?? 'connection_limit')
      deps.events.admission_refused({ reason: refused ?? 'too many handshakes', address })
      resetSocket(raw)
      return
    }
    const key = keyOf(raw)
    open.add(raw)
    raws.set(key, { raw, leave })
    raw.once('close', () => {
      leave()
      open.delete(raw)
      // A client may use its port again before the end of the connection before is heard of here.
      if (raws.get(key)?.raw === raw) raws.delete(key)
    })
    serverOf(snapshot.tls).emit('connection', raw)
  }

  function serverOf(tls: Tls): TlsServer {
    const known = servers.get(tls)
    if (known !== undefined) return known
    const server = createTlsServer({ ...tls.server, handshakeTimeout: deps.limits.handshakeMs })
    server.on('secureConnection', (socket) => void onSecure(socket))
    server.on('tlsClientError', (error: Error & { code?: string }, socket) => {
      deps.metrics.handshake('inbound', error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? 'timeout' : 'tls_error')
      // The library only reports a handshake that takes too long; nothing but this closes the socket.
      socket.destroy()
      const raw = raws.get(keyOf(socket))?.raw
      if (raw !== undefined) resetSocket(raw)
    })
    servers.set(tls, server)
    return server
  }

  async function onSecure(socket: TLSSocket): Promise<void> {
    socket.on('error', ignore)
    const accepted = raws.get(keyOf(socket))
    const snapshot = deps.current()
    if (accepted === undefined || snapshot === undefined || socket.destroyed) {
      socket.destroy()
      return
    }
    const { raw, leave } = accepted
    leave()
    const reset = () => {
      resetSocket(raw)
      socket.destroy()
    }
    const evidence = evidenceOf(socket)
    if (socket.alpnProtocol === ALPN_SELF_CHECK) {
      answerSelfCheck(socket, evidence, snapshot)
      lingerThenReset(socket, reset)
      return
    }
    const unit = createInboundUnit(socket, raw, evidence, snapshot, reset, deps)
    const connection: InboundConnection = { socket, raw, unit, isAgent: socket.alpnProtocol === ALPN_MESH, reset }
    const verdict = deps.registry.admit(unit, unit.decide)
    deps.metrics.handshake('inbound', verdict.allowed ? 'ok' : verdict.refusal.code)
    if (!verdict.allowed) return refuse(connection, verdict.refusal, snapshot)
    if (snapshot.mode === 'tcp') return await carry(connection, verdict.proof)
    if (connection.isAgent) socket.write(encodeOk())
    deps.http.serve(connection, verdict.proof)
  }

  function refuse(connection: InboundConnection, refusal: Refusal, snapshot: Snapshot): void {
    const { socket, unit } = connection
    deps.registry.release(unit, refusal)
    if (connection.isAgent) {
      socket.end(encodeRefusal({ code: refusal.code, rule: refusal.rule, connection: unit.connection }))
    } else if (snapshot.mode === 'http') {
      deps.http.refuse(connection, refusal)
      return
    } else {
      socket.end()
    }
    lingerThenReset(socket, connection.reset)
  }

  async function carry(connection: InboundConnection, { permit }: Admitted): Promise<void> {
    const { socket, unit, reset } = connection
    const given = new AbortController()
    socket.once('close', () => given.abort())
    let local: Socket
    try {
      local = await connectTo(target, deps.limits.connectMs, given.signal)
    } catch (cause) {
      if (socket.destroyed) return deps.registry.release(unit, { code: 'aborted_by_caller' })
      const refusal: Refusal = { code: 'service_unreachable', rule: 'service', detail: String(cause) }
      const snapshot = deps.current()
      if (snapshot !== undefined) refuse(connection, refusal, snapshot)
      return
    }
    local.on('error', ignore)
    if (socket.destroyed) {
      resetSocket(local)
      return deps.registry.release(unit, { code: 'aborted_by_caller' })
    }
    if (connection.isAgent) socket.write(encodeOk())
    const through = spliceInbound(permit, socket, local, reset, deps.limits)
    unit.carriedBy({ bytesIn: through.bytesAtoB, bytesOut: through.bytesBtoA, cut: () => through.abort() })
    deps.registry.release(unit, endOf(await through.ended, { a: 'aborted_by_caller', b: 'aborted_by_service' }))
  }

  return {
    start: () => listenOn(listener, listen),
    stop: () => void listener.close(),
    endpoint: () => boundEndpoint(listener),
    handshakes: admission.size,
    size: () => open.size,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()))
      for (const raw of open) resetSocket(raw)
      await closed
    },
  }
}

/** The other side may be slow to read a refusal, but not for ever. */
function lingerThenReset(socket: TLSSocket, reset: () => void): void {
  socket.resume()
  socket.once('end', () => socket.destroySoon())
  const timer = setTimeout(reset, REFUSAL_LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}

/** Only this very instance may look at itself: that needs no permit, and it gets nothing but an `OK`. */
function answerSelfCheck(socket: TLSSocket, evidence: Evidence, snapshot: Snapshot): void {
  const [shown] = evidence.chain
  const isSelf = !evidence.resumed && evidence.authorized && shown !== undefined && snapshot.self.leaf.equals(shown)
  if (isSelf) socket.end(encodeOk())
  else socket.end(encodeRefusal({ code: 'not_allowed', rule: 'self-check', connection: connectionId(socket) }))
}

/** Bytes flow to the local service only with a permit in hand. */
function spliceInbound(_permit: Permit, socket: TLSSocket, local: Socket, reset: () => void, limits: ProxyLimits) {
  return splice(socket, local, {
    idleMs: limits.idleMs,
    halfCloseMs: limits.halfCloseMs,
    fail() {
      reset()
      resetSocket(local)
    },
  })
}

/** Names a TCP connection on this listener while it lives; the TLS socket on top of it has the same name. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress}|${socket.remotePort}|${socket.localAddress}`
}

interface Accepted {
  readonly raw: Socket
  readonly leave: () => void
}

const REFUSAL_LINGER_MS = 2_000
