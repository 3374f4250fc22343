import type { Duplex } from 'node:stream'
import { Client, type Dispatcher } from 'undici'
import { ignore } from './endpoint.ts'

/** An open connection that HTTP requests can take one after the other. */
export interface LaneConnection {
  readonly socket: Duplex
  /** Tells the owner that the connection is over; called once, after the socket is closed. */
  readonly onClosed: () => void
  /** Asked before each further request: false retires the connection. */
  readonly isCurrent: () => boolean
}

/** The use of one connection for one request. Must be given back exactly once. */
export interface Lane<C extends LaneConnection> {
  readonly client: Dispatcher
  readonly connection: C
  /** Whether an earlier request used it: then it may have been closed while the request was on its way. */
  readonly isReused: boolean
  giveBack(): void
}

export interface Lanes<C extends LaneConnection> {
  /**
   * An idle connection, or a new one; waits when there are too many.
   *
   * @throws whatever `open` throws; {LanesFull}; {LanesClosed}.
   */
  take(signal: AbortSignal): Promise<Lane<C>>
  /** Closes idle connections that are no longer current. */
  prune(): void
  /** From here on no connection is kept for a next request. */
  drain(): void
  /** Takes nothing more and closes what is idle; busy connections close as they come back. */
  close(): void
  readonly open: () => number
}

/** No connection came free in time. */
export class LanesFull extends Error {
  override readonly name = 'LanesFull'
}

/** The lanes are being closed. */
export class LanesClosed extends Error {
  override readonly name = 'LanesClosed'
}

export interface LanesOptions<C extends LaneConnection> {
  readonly open: (signal: AbortSignal) => Promise<C>
  readonly maxLanes: number
  readonly maxWaiting: number
  readonly waitMs: number
  readonly keepAliveMs: number
  readonly responseMs: number
  /** Between two pieces of a body; 0: no limit. */
  readonly idleMs: number
  readonly maxHeadBytes: number
}

/**
 * Keeps HTTP/1.1 client connections to one place: one request at a time on each, the one used last first.
 *
 * Opening is the caller's, so that a request meets a connection only after identity and matrix have been asked. Does
 * **not** repeat requests.
 */
export function createLanes<C extends LaneConnection>(options: LanesOptions<C>): Lanes<C> {
  const idle: Held<C>[] = []
  const all = new Set<Held<C>>()
  const waiting = new Set<Waiter>()
  let opening = 0
  let closed = false
  let draining = false

  async function take(signal: AbortSignal): Promise<Lane<C>> {
    if (closed) throw new LanesClosed()
    for (let held = idle.pop(); held !== undefined; held = idle.pop()) {
      if (isUsable(held)) return lend(held, true)
      drop(held)
    }
    if (all.size + opening >= options.maxLanes) {
      await turn(signal)
      return await take(signal)
    }
    opening += 1
    try {
      const held = hold(await options.open(signal))
      if (closed) drop(held)
      return lend(held, false)
    } finally {
      opening -= 1
      if (all.size + opening < options.maxLanes) wakeOne()
    }
  }

  function hold(connection: C): Held<C> {
    const { socket } = connection
    let given = false
    const client = new Client(ORIGIN, {
      // One socket, handed over once: a client that lost it must not find another by itself.
      connect: (_options, callback) => {
        if (given || socket.destroyed)
          return callback(Object.assign(new Error('the connection has gone'), { code: CONNECTION_GONE }), null)
        given = true
        // undici does not look at its queue again for a socket that is there at once; its type names net.Socket.
        queueMicrotask(() => callback(null, socket as Parameters<typeof callback>[1] & object))
      },
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: options.keepAliveMs,
      keepAliveMaxTimeout: options.keepAliveMs,
      headersTimeout: options.responseMs,
      bodyTimeout: options.idleMs,
      maxHeaderSize: options.maxHeadBytes,
    })
    const held: Held<C> = { connection, client, isLost: false, isLent: false, idleSince: performance.now() }
    all.add(held)
    client.on('disconnect', () => drop(held))
    socket.on('error', ignore)
    const onClose = () => {
      drop(held)
      connection.onClosed()
    }
    if (socket.closed) onClose()
    else socket.once('close', onClose)
    return held
  }

  function lend(held: Held<C>, isReused: boolean): Lane<C> {
    held.isLent = true
    return {
      client: held.client,
      connection: held.connection,
      isReused,
      giveBack() {
        if (!held.isLent) return
        held.isLent = false
        held.idleSince = performance.now()
        if (closed || draining || !isUsable(held)) drop(held)
        else idle.push(held)
        wakeOne()
      },
    }
  }

  /** Timers are late on a busy machine, and then the other side may have closed what was idle for too long. */
  function isUsable(held: Held<C>): boolean {
    if (held.isLost || held.connection.socket.destroyed) return false
    return performance.now() - held.idleSince < options.keepAliveMs && held.connection.isCurrent()
  }

  function drop(held: Held<C>): void {
    held.isLost = true
    if (!all.has(held) || held.isLent) return
    all.delete(held)
    const at = idle.indexOf(held)
    if (at >= 0) idle.splice(at, 1)
    held.client.destroy().catch(ignore)
    held.connection.socket.destroy()
    wakeOne()
  }

  function turn(signal: AbortSignal): Promise<void> {
    if (waiting.size >= options.maxWaiting) throw new LanesFull()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const settle = (error?: Error) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      waiting.delete(settle)
      if (error === undefined) resolve()
      else reject(error)
    }
    const timer = setTimeout(() => settle(new LanesFull()), options.waitMs)
    const onAbort = () => settle(new LanesClosed())
    signal.addEventListener('abort', onAbort, { once: true })
    waiting.add(settle)
    return promise
  }

  function wakeOne(): void {
    const [first] = waiting
    first?.()
  }

  function prune(): void {
    for (const held of idle.slice()) if (!isUsable(held)) drop(held)
  }

  return {
    take,
    prune,
    drain() {
      draining = true
      for (const held of idle.slice()) drop(held)
    },
    close() {
      closed = true
      for (const settle of waiting) settle(new LanesClosed())
      for (const held of idle.slice()) drop(held)
    },
    open: () => all.size,
  }
}

interface Held<C extends LaneConnection> {
  readonly connection: C
  readonly client: Client
  isLost: boolean
  isLent: boolean
  /** By the process's own clock; of no meaning while it is lent. */
  idleSince: number
}

type Waiter = (error?: Error) => void

/** Code of the failure of a request whose connection closed before it was written. */
export const CONNECTION_GONE = 'connection_gone'
/** Never resolved: the Host header is always the caller's. */
const ORIGIN = 'http://service.invalid'
