import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** What a client sends without waiting for answers, done one after the other. */
export interface Pipeline {
  /**
   * Does `work`, which ends with `response`, as soon as everything before it on the connection is answered.
   *
   * @returns false when too many wait: then it is not done.
   */
  readonly add: (response: ServerResponse, work: () => void) => boolean
  /** The answer that is being made on a connection. */
  readonly current: (socket: Duplex) => ServerResponse | undefined
  /**
   * Does the last `work` of a connection on which nothing more can be read: after the answers that are owed, and in the
   * place of the answer to a request whose body is what cannot be read.
   */
  readonly end: (socket: Duplex, work: () => void) => void
}

/**
 * node:http hands out requests as they are parsed, several at once. A server may process them in parallel "if they all
 * have safe methods" (RFC 9112 §9.3.2); a proxy that did would let one overtake another on the way to the service.
 */
export function createPipeline(): Pipeline {
  const connections = new WeakMap<Duplex, Connection>()

  function connectionOf(socket: Duplex): Connection {
    const known = connections.get(socket)
    if (known !== undefined) return known
    const connection: Connection = { current: undefined, last: undefined, waiting: [] }
    connections.set(socket, connection)
    return connection
  }

  return {
    add(response, work) {
      const { socket } = response.req
      const connection = connectionOf(socket)
      const begin = () => {
        if (socket.destroyed) return
        connection.current = response
        response.once('close', () => {
          connection.current = undefined
          connection.waiting.shift()?.()
        })
        work()
      }
      if (connection.current !== undefined && connection.waiting.length >= MAX_WAITING) return false
      connection.last = response
      if (connection.current === undefined) begin()
      else connection.waiting.push(begin)
      return true
    },
    current: (socket) => connections.get(socket)?.current,
    end(socket, work) {
      const { current, last, waiting } = connectionOf(socket)
      const isBroken = last !== undefined && !last.req.complete
      // It was answered before its body was whole: nobody waits for another answer.
      if (current === undefined && isBroken) return void socket.destroy()
      if (current === undefined || (isBroken && current === last && !current.headersSent)) return work()
      if (isBroken && current === last) return void socket.destroy()
      if (isBroken) waiting.pop()
      waiting.push(work)
    },
  }
}

interface Connection {
  /** Whose answer is being made. */
  current: ServerResponse | undefined
  /** Whose head was read last. */
  last: ServerResponse | undefined
  readonly waiting: (() => void)[]
}

/** On one connection. No client we know of sends more than a handful. */
const MAX_WAITING = 64
