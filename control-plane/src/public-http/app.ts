import { encodePem } from '@vcc/x509'
import Fastify, { type FastifyInstance, type FastifyPluginAsync, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Authorities } from '../authority/authority.ts'
import { type CrlKind, type CrlRow, crlRow } from '../crl/store.ts'
import type { ReadAccess } from '../database/access.ts'
import { epochSeconds } from '../epoch.ts'

export interface PublicHttpDeps {
  readonly database: ReadAccess
  readonly authorities: Authorities
  readonly now: () => Date
  readonly failed: (cause: unknown) => void
}

/**
 * What external verifiers ask for, over plain HTTP and without an account: certificates of CAs and CRLs, under the URLs
 * that stand in certificates. Everything here proves itself.
 *
 * A `HEAD` is answered like a `GET`. What is not there is 404 without a word about why.
 */
export function createPublicApp(deps: PublicHttpDeps, plugins: readonly FastifyPluginAsync[] = []): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: 16_384,
    requestTimeout: 10_000,
    keepAliveTimeout: 30_000,
    connectionTimeout: 30_000,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: true,
    http: { maxHeaderSize: 16_384, headersTimeout: 10_000, connectionsCheckingInterval: 5000 },
  })
  app.setErrorHandler((error: { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) deps.failed(error)
    return plain(reply, status, status >= 500 ? 'not available\n' : 'bad request\n')
  })
  app.setNotFoundHandler((_request, reply) => plain(reply, 404, 'not found\n'))
  app.get<{ Params: { file: string } }>('/ca/:file', (request, reply) => issuer(request, reply, deps))
  app.get<{ Params: { ca: string; file: string } }>('/crl/:ca/:file', (request, reply) => crl(request, reply, deps))
  for (const plugin of plugins) app.register(plugin)
  return app
}

/** `<ca_id>.cer`, DER as RFC 5280 §4.2.2.1 wants it, or `.pem`. */
function issuer(request: FastifyRequest<{ Params: { file: string } }>, reply: FastifyReply, deps: PublicHttpDeps) {
  const { caId, form } = ISSUER.exec(request.params.file)?.groups ?? {}
  const authority = deps.authorities.all().find((one) => one.caId === caId)
  if (authority === undefined) return plain(reply, 404, 'not found\n')
  const { der, notAfter } = authority.certificate
  reply.header('etag', `"${authority.certificate.serialHex}"`).header('cache-control', 'public, max-age=86400')
  reply.header('expires', new Date(Math.min(notAfter.getTime(), deps.now().getTime() + DAY_MS)).toUTCString())
  return form === 'pem'
    ? reply.type('application/x-pem-file').send(encodePem('CERTIFICATE', der))
    : reply.type('application/pkix-cert').send(Buffer.from(der))
}

async function crl(
  request: FastifyRequest<{ Params: { ca: string; file: string } }>,
  reply: FastifyReply,
  deps: PublicHttpDeps,
) {
  const { shard, delta, form } = CRL.exec(request.params.file)?.groups ?? {}
  if (shard === undefined || !CA_ID.test(request.params.ca)) return plain(reply, 404, 'not found\n')
  const kind: CrlKind = delta === undefined ? 'full' : 'delta'
  const row = await deps.database.read(() => crlRow({ caId: request.params.ca, shard: Number(shard) }, kind))
  if (row === undefined) return plain(reply, 404, 'not found\n')
  const etag = `"${row.sha256}${form === 'pem' ? '-pem' : ''}"`
  cacheable(reply, row, etag, deps)
  if (request.headers['if-none-match'] === etag) return reply.code(304).send()
  return form === 'pem'
    ? reply.type('application/x-pem-file').send(encodePem('X509 CRL', row.der))
    : reply.type('application/pkix-crl').send(Buffer.from(row.der))
}

/** Fresh for a few minutes at most: a revocation makes a new one long before `nextUpdate`. */
function cacheable(reply: FastifyReply, row: CrlRow, etag: string, deps: PublicHttpDeps): void {
  const left = Math.max(0, row.next_update - epochSeconds(deps.now()))
  const maxAge = Math.min(left, MAX_AGE_SECONDS[row.kind])
  reply
    .header('etag', etag)
    .header('last-modified', new Date(row.this_update * 1000).toUTCString())
    .header('expires', new Date(row.next_update * 1000).toUTCString())
    .header('cache-control', `public, max-age=${maxAge}, must-revalidate`)
}

function plain(reply: FastifyReply, status: number, text: string) {
  return reply.code(status).header('cache-control', 'no-store').type('text/plain').send(text)
}

const ISSUER = /^(?<caId>[0-9a-f]{32})\.(?<form>cer|pem)$/
const CRL = /^(?<shard>0|[1-9][0-9]{0,3})(?<delta>-delta)?\.(?<form>crl|pem)$/
const CA_ID = /^[0-9a-f]{32}$/
const MAX_AGE_SECONDS = { full: 300, delta: 60 } as const
const DAY_MS = 86_400_000
