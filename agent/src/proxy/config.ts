import type { SocketAddress } from '../address.ts'
import type { Mode } from './snapshot.ts'

/** What the operator of this machine decides about the data plane; the rest comes with signed state. */
export interface ProxyConfig {
  /** Absent for a service that is only a client. */
  readonly inbound?: { readonly listen: Extract<SocketAddress, { kind: 'tcp' }>; readonly target: SocketAddress }
  readonly outbound: readonly OutboundListener[]
  readonly limits?: Partial<ProxyLimits>
  /** Name servers as `address:port`, instead of the machine's. */
  readonly nameServers?: readonly string[]
}

export interface OutboundListener {
  /** `covina`, `partner/covina` or a SPIFFE ID. */
  readonly upstream: string
  readonly listen: SocketAddress
  /** How to refuse while signed state does not know the upstream. Default tcp. */
  readonly mode?: Mode
}

export interface ProxyLimits {
  readonly handshakeMs: number
  readonly connectMs: number
  /** From the end of the handshake to `OK`, which includes dialling the service on the other side. */
  readonly answerMs: number
  /** 0: never. */
  readonly idleMs: number
  readonly halfCloseMs: number
  /** 0: as long as the certificates. */
  readonly maxConnectionAgeMs: number
  readonly maxConnections: number
  readonly maxHandshakes: number
  readonly maxHandshakesPerAddress: number
  /** Connections to one address that are being dialled; far less than another agent takes from one address. */
  readonly maxDials: number
  /** HTTP: a request head must be complete after this. */
  readonly headMs: number
  readonly maxHeadBytes: number
  /** HTTP: until the service's response head. */
  readonly responseMs: number
  /** HTTP: idle connections of callers are kept this long. */
  readonly keepAliveMs: number
  /** HTTP: idle connections to the local service; shorter than what common servers keep (5 s). */
  readonly localKeepAliveMs: number
  /** HTTP: idle connections to other agents; shorter than `keepAliveMs`. */
  readonly meshKeepAliveMs: number
  /** HTTP: connections to one upstream. */
  readonly maxLanes: number
  /** Calls that may wait for a connection to one upstream, or for their turn to dial it. */
  readonly maxWaiting: number
}

export const PROXY_LIMITS: ProxyLimits = {
  handshakeMs: 10_000,
  connectMs: 5_000,
  answerMs: 10_000,
  idleMs: 0,
  halfCloseMs: 60_000,
  maxConnectionAgeMs: 0,
  maxConnections: 10_000,
  maxHandshakes: 512,
  maxHandshakesPerAddress: 64,
  maxDials: 8,
  headMs: 15_000,
  maxHeadBytes: 32_768,
  responseMs: 300_000,
  keepAliveMs: 90_000,
  localKeepAliveMs: 1_500,
  meshKeepAliveMs: 30_000,
  maxLanes: 256,
  maxWaiting: 1_024,
}
