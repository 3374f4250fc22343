import { connect, type TLSSocket } from 'node:tls'
import type { TestCredential } from '@vcc/testkit'

/** What an agent's inbound port says to a TLS client before anything else. */
export interface Greeting {
  /** `OK`, the code of a refusal, or `closed` when nothing was said. */
  readonly said: string
  readonly rule: string | undefined
  readonly connection: string | undefined
  readonly protocol: string | null
}

/** Shakes hands with an agent's inbound port as another agent would, with whatever certificate, and listens. */
export async function greet(port: number, shown: TestCredential | undefined): Promise<Greeting> {
  const socket = dialAsAgent(port, shown)
  const chunks: Buffer[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const deadline = setTimeout(() => socket.destroy(), 20_000)
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    if (Buffer.concat(chunks).toString('latin1').startsWith('OK')) resolve()
  })
  socket.on('error', () => {}) // a reset after the refusal is as good as an end
  socket.on('close', () => resolve())
  await promise
  clearTimeout(deadline)
  const protocol = socket.getProtocol()
  socket.destroy()
  return { ...decode(Buffer.concat(chunks)), protocol }
}

/** A TLS connection with the protocol of agents, to whoever answers. */
export function dialAsAgent(port: number, shown: TestCredential | undefined): TLSSocket {
  return connect({
    host: '127.0.0.1',
    port,
    ALPNProtocols: ['vcc/1'],
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    minVersion: 'TLSv1.3',
    ...(shown === undefined ? {} : { key: shown.keyPem, cert: shown.chainPem }),
  })
}

function decode(bytes: Buffer): Omit<Greeting, 'protocol'> {
  const word = bytes.subarray(0, 2).toString('latin1')
  if (word === 'OK') return { said: 'OK', rule: undefined, connection: undefined }
  if (word !== 'NO' || bytes.length < 4) return { said: 'closed', rule: undefined, connection: undefined }
  const record = JSON.parse(bytes.subarray(4, 4 + bytes.readUInt16BE(2)).toString('utf8')) as {
    code: string
    rule: string
    connection: string
  }
  return { said: record.code, rule: record.rule, connection: record.connection }
}
