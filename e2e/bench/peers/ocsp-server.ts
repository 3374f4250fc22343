/** A server of its own process, so that its CPU can be told from its client's. Prints its port, ends with its parent. */
import { createServer, type RequestListener, type Server } from 'node:http'
import {
  createResponder,
  currentResponderKey,
  type OcspHttpDeps,
  ocspListener,
  ocspPlugin,
  type ResponderKey,
  responderKey,
} from '@vcc/ocsp'
import { ocspResponder, testPki } from '@vcc/testkit'
import { encodeCertId, encodeOcspRequest } from '@vcc/x509'
import Fastify from 'fastify'

/** What the parent needs to know, on one line of JSON. */
export interface OcspServer {
  readonly port: number
  readonly request: string
  readonly requestWithNonce: string
  readonly response: string
}

export const OCSP_SERVERS = ['plugin', 'listener', 'bare'] as const

const now = (): Date => new Date()
const pki = testPki({ now: now() })
const ca = pki.servicesCa
const { serialHex } = pki.service('argus').certificate
const { certificate, signer } = ocspResponder(ca, now())
const keys: readonly ResponderKey[] = [responderKey(certificate, signer)]
const issuers = [{ id: '00112233445566778899aabbccddeeff', certificate: ca.certificate }]
const responder = createResponder({
  source: {
    issuers: () => issuers,
    standing: () => {
      const asOfSeconds = Math.floor(Date.now() / 1000)
      return { generation: 1, asOfSeconds, validUntilSeconds: asOfSeconds }
    },
    status: (_issuer, serial) =>
      serial === serialHex ? { status: 'good' } : { status: 'unknown', why: 'never_issued' },
  },
  keyOf: () => currentResponderKey(keys, now()),
  now,
})
const deps: OcspHttpDeps = { responder, now }
const ask = (nonce?: Uint8Array): Uint8Array =>
  encodeOcspRequest([encodeCertId(ca.certificate, serialHex, 'sha1')], nonce)
const { der: response } = await responder.respond(ask())

/** Reads what comes and answers the same octets with the least that HTTP needs. */
const bare: RequestListener = (request, answer) => {
  const send = () => {
    answer.writeHead(200, { 'content-type': 'application/ocsp-response', 'content-length': response.length })
    answer.end(response)
  }
  if (request.method === 'GET') return send()
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    if (Buffer.concat(chunks).length > 0) send()
  })
}

async function start(kind: string | undefined): Promise<Server> {
  if (kind === 'bare') return createServer(bare)
  if (kind === 'listener') return createServer(ocspListener(deps))
  const app = Fastify({ logger: false })
  await app.register(ocspPlugin, deps)
  await app.ready()
  return app.server
}

if (import.meta.main) {
  const server = await start(process.argv[2])
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
    const facts: OcspServer = {
      port: typeof address === 'object' && address !== null ? address.port : 0,
      request: base64(ask()),
      requestWithNonce: base64(ask(new Uint8Array(32).fill(7))),
      response: base64(response),
    }
    process.stdout.write(`${JSON.stringify(facts)}\n`)
  })
  process.stdin.resume().on('end', () => process.exit())
}
