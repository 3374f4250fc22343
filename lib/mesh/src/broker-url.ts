import type { PeerAddress } from './control-peer.ts'

/** Host and port of `mqtts://host:port` (8883 unless named), or undefined for what is no such URL. TLS whatever the scheme says. */
export function brokerAddress(url: string): PeerAddress | undefined {
  const { hostname = '', port = '' } = URL.parse(url) ?? {}
  return hostname === '' ? undefined : { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || MQTTS_PORT) }
}

/** IANA: secure-mqtt. */
const MQTTS_PORT = 8883
