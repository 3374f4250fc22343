import { createServer, type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import Fastify from 'fastify'
import { type OcspHttpDeps, ocspListener } from '../http/listener.ts'
import { ocspPlugin } from '../http/plugin.ts'

export interface Served extends AsyncDisposable {
  readonly port: number
}

/** The two ways to mount the responder. */
export const MOUNTS = {
  'node:http': async (deps: OcspHttpDeps): Promise<Served> => {
    const server = createServer(ocspListener(deps))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return {
      port: portOf(server.address()),
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      },
    }
  },
  Fastify: async (deps: OcspHttpDeps): Promise<Served> => {
    const app = Fastify({ logger: false, forceCloseConnections: true })
    app.get('/beside', async () => 'beside')
    await app.register(ocspPlugin, deps)
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: portOf(app.server.address()), [Symbol.asyncDispose]: () => app.close() }
  },
} as const

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** One request on a connection of its own, its path sent as it is. */
export function http(
  port: number,
  method: string,
  path: string,
  more: { headers?: Record<string, string>; body?: Uint8Array } = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers: more.headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      )
    })
    sent.setTimeout(20_000, () => sent.destroy(new Error('no answer within 20 s')))
    sent.on('error', reject)
    sent.end(more.body)
  })
}

export const post = (port: number, body: Uint8Array, headers: Record<string, string> = {}): Promise<HttpAnswer> =>
  http(port, 'POST', '/ocsp', { body, headers: { 'content-type': 'application/ocsp-request', ...headers } })

export const get = (port: number, requestDer: Uint8Array, headers: Record<string, string> = {}): Promise<HttpAnswer> =>
  http(port, 'GET', `/ocsp/${encodeURIComponent(Buffer.from(requestDer).toString('base64'))}`, { headers })

/** Octets to a socket, and everything that comes back until it closes. */
export function raw(port: number, octets: string | Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(octets))
    socket.setTimeout(20_000, () => socket.destroy(new Error('no end within 20 s')))
    socket.setEncoding('latin1')
    socket.on('data', (data: string) => {
      text += data
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
  })
}

function portOf(address: ReturnType<ReturnType<typeof createServer>['address']>): number {
  if (address === null || typeof address === 'string') throw new TypeError('not a TCP address')
  return address.port
}
