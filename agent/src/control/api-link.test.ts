import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { secondsAfter, type TestCredential, testPki } from '@vcc/testkit'
import { afterEach, expect, test } from 'vitest'
import { type Identity, verifyIdentity } from '../identity/identity.ts'
import { parseAgentKey } from '../identity/key.ts'
import { createApiLink } from './api-link.ts'

const pki = testPki()
const ANSWER = { fleet: { refresh: 'a' }, agent: { refresh: 'b' } }
const stack: (() => PromiseLike<void>)[] = []
afterEach(async () => {
  for (const close of stack.splice(0).toReversed()) await close()
})

/** A control plane that does what `answer` says, and the serials that its callers showed. */
async function control(answer: RequestListener, credential: TestCredential = pki.controlApi()) {
  const serials: string[] = []
  const server = createServer(
    {
      key: credential.keyPem,
      cert: credential.chainPem,
      ca: pki.rootPem,
      requestCert: true,
      rejectUnauthorized: false,
    },
    answer,
  )
  server.on('secureConnection', (socket) => serials.push(socket.getPeerCertificate().serialNumber?.toLowerCase() ?? ''))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  stack.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, serials }
}

function link(urls: readonly string[], signal = new AbortController().signal) {
  let identity = renewed()
  const statement = { trustDomain: pki.trustDomain, oidArc: pki.oidArc } as never // all that a link reads of it
  const made = createApiLink({
    trust: () => ({ root: pki.root.certificate, statement }),
    identity: () => identity,
    urls: () => urls,
    now: () => new Date(),
    signal,
  })
  stack.push(() => made[Symbol.asyncDispose]())
  return {
    pull: () => made.call('meshState', { query: {} }),
    anonymous: () => made.anonymous('meshState', { query: {} }),
    downSince: made.downSince,
    renew: () => {
      identity = renewed()
      return identity.leaf.serialHex
    },
    serial: () => identity.leaf.serialHex,
  }
}

function renewed(): Identity {
  const leaf = pki.service('argus', { instance: 'abcdefgh01234567', notAfter: secondsAfter(pki.now, 3600) })
  return verifyIdentity(
    { key: parseAgentKey(leaf.keyPem), chainDer: leaf.chainDer },
    { root: pki.root.certificate, oidArc: pki.oidArc, classOids: undefined, expected: undefined, now: new Date() },
  )
}

const json =
  (status: number, body: object): RequestListener =>
  (_request, response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
const problem = (status: number, code: string) =>
  json(status, { type: `urn:vcc:problem:${code}`, title: 'No', status, code, requestId: 'r1' })
const good = json(200, ANSWER)
const NOBODY = 'https://127.0.0.1:1'

test('an address that is away is passed over, and the outage is over with the first answer', async () => {
  const { url } = await control(good)
  const urls = [NOBODY]
  const api = link(urls)
  await expect(api.pull()).rejects.toMatchObject({ code: 'control_unreachable' })
  expect(api.downSince()).toBeInstanceOf(Date)
  urls.push(url)
  expect(await api.pull()).toEqual(ANSWER)
  expect(api.downSince()).toBeUndefined()
})

test('somebody else in its place is passed over and gets nothing, and does not count as there', async () => {
  const asked: string[] = []
  const listener: RequestListener = (request, response) => {
    asked.push(request.url ?? '')
    good(request, response)
  }
  const liar = await control(listener, pki.service('argus', { dnsNames: ['localhost'] }))
  const api = link([liar.url])
  await expect(api.pull()).rejects.toMatchObject({ code: 'control_peer_refused' })
  expect(api.downSince()).toBeInstanceOf(Date)
  expect(asked).toEqual([])
  const { url } = await control(good)
  expect(await link([liar.url, url]).pull()).toEqual(ANSWER)
})

test('a control plane that cannot leaves it to the next; a refusal is final and no outage', async () => {
  const unable = await control(problem(503, 'database_behind'))
  const refusing = await control(problem(403, 'identity_revoked'))
  const well = await control(good)
  expect(await link([unable.url, well.url]).pull()).toEqual(ANSWER)
  const api = link([refusing.url, well.url])
  await expect(api.pull()).rejects.toMatchObject({ code: 'control_refused', reason: 'identity_revoked' })
  expect(api.downSince()).toBeUndefined()
})

test('every call shows the certificate in force, and who is nobody shows none', async () => {
  const { url, serials } = await control(good)
  const api = link([url])
  await api.pull()
  await api.pull()
  const first = api.serial()
  expect(new Set(serials)).toEqual(new Set([first]))
  const second = api.renew()
  await api.pull()
  expect(serials.at(-1)).toBe(second)
  await api.anonymous()
  expect(serials.at(-1)).toBe('')
})

test('a control plane that never answers does not outlast the agent', async () => {
  const { url } = await control(() => {})
  const ending = new AbortController()
  const api = link([url, NOBODY], ending.signal)
  const pulling = api.pull()
  setTimeout(() => ending.abort(new Error('the agent ends')), 200)
  const started = performance.now()
  await expect(pulling).rejects.toThrow('the agent ends')
  await expect(api.pull()).rejects.toThrow('the agent ends')
  expect(performance.now() - started).toBeLessThan(2000)
})
