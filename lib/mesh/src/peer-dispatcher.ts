import type { SecureContext, TLSSocket } from 'node:tls'
import { Agent, type buildConnector, type Dispatcher } from 'undici'
import { connectPeer, connectUnverified, type ExpectedPeer, type PeerAddress } from './control-peer.ts'

/** HTTP over connections to an expected peer: at most two, kept a minute. */
export function peerDispatcher(context: SecureContext, expected: ExpectedPeer): Dispatcher {
  return socketDispatcher((address) => connectPeer(address, context, expected))
}

/** HTTP to whoever answers; see `connectUnverified`. */
export function unverifiedDispatcher(): Dispatcher {
  return socketDispatcher(connectUnverified)
}

/** A socket that is not secure within 5 s is destroyed. */
function socketDispatcher(open: (address: PeerAddress) => TLSSocket): Dispatcher {
  return new Agent({
    connections: 2,
    pipelining: 1,
    keepAliveTimeout: 60_000,
    maxHeaderSize: 16_384,
    connect: (options, done) => hand(open(addressOf(options)), done),
  })
}

function hand(socket: TLSSocket, done: buildConnector.Callback): void {
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

function addressOf({ hostname, port }: buildConnector.Options): PeerAddress {
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || 443 }
}

const CONNECT_MS = 5000
