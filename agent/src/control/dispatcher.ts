import type tls from 'node:tls'
import { errorCode } from '@vcc/runtime'
import { Agent, type buildConnector, type Dispatcher } from 'undici'
import { AgentError } from '../errors.ts'
import { connectPeer, type ExpectedPeer } from './peer.ts'

/**
 * HTTP over connections to an expected peer: at most two, kept a minute. Closes them when disposed.
 */
export function peerDispatcher(context: tls.SecureContext, expected: ExpectedPeer): Dispatcher {
  return socketDispatcher((address) => connectPeer(address, context, expected))
}

/** HTTP over sockets that `open` connects; a socket that is not secure within 5 s is destroyed. */
export function socketDispatcher(open: (address: { host: string; port: number }) => tls.TLSSocket): Dispatcher {
  return new Agent({
    connections: 2,
    pipelining: 1,
    keepAliveTimeout: 60_000,
    maxHeaderSize: 16_384,
    connect: (options, done) => connect(open(addressOf(options)), done),
  })
}

function connect(socket: tls.TLSSocket, done: buildConnector.Callback): void {
  const late = setTimeout(() => socket.destroy(new Error('no TLS connection within 5 s')), CONNECT_MS)
  const settle = () => {
    clearTimeout(late)
    socket.off('error', failed).off('secureConnect', connected).off('close', closed)
  }
  const failed = (error: Error) => {
    settle()
    // undici destroys only what it was handed; a late second error must not end the process.
    socket.on('error', () => {})
    socket.destroy()
    done(error, null)
  }
  const closed = () => failed(new Error('the connection closed during the handshake'))
  const connected = () => {
    settle()
    done(null, socket)
  }
  socket.once('error', failed).once('secureConnect', connected).once('close', closed)
}

function addressOf({ hostname, port }: buildConnector.Options): { host: string; port: number } {
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || 443 }
}

/** A failure of the transport in the words of ours; an error that is ours already, or a cause that is, stays. */
export function transportError(url: string, error: unknown): AgentError {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof AgentError) return cause
  const detail = TRANSPORT_WORDS[errorCode(error) ?? ''] ?? (error instanceof Error ? error.message : 'unknown reason')
  return new AgentError('control_unreachable', `the control plane at ${url} cannot be reached: ${detail}`, {
    cause: error,
  })
}

const TRANSPORT_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'there is no such host',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route to it',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not of this mesh',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not of this mesh',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not of this mesh',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not of this mesh',
  CERT_HAS_EXPIRED: 'its certificate has expired',
}
const CONNECT_MS = 5000
