import type { FastifyPluginCallback } from 'fastify'
import { type OcspHttpDeps, ocspListener } from './listener.ts'

/**
 * The responder as a Fastify plugin: `GET {path}/…` and `POST {path}`, answered past Fastify's own parsing and serialising.
 *
 * A path that is not valid percent-encoding never gets here: Fastify answers it with 400 (`frameworkErrors`). Where that matters,
 * or nothing else is on the server, `ocspListener` needs no Fastify.
 */
export const ocspPlugin: FastifyPluginCallback<OcspHttpDeps> = (app, deps, done) => {
  const { path = '/ocsp' } = deps
  const listener = ocspListener(deps)
  // Before the body is read, and before any schema: from here on the listener answers.
  app.addHook('onRequest', (request, reply) => {
    reply.hijack()
    listener(request.raw, reply.raw)
  })
  for (const url of [path, `${path}/*`]) app.all(url, () => undefined)
  done()
}
