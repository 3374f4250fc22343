import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { joinAgent } from '../harness/agent.ts'
import { succeeded } from '../harness/control.ts'
import { startMesh } from '../harness/mesh.ts'
import { openAsAgent } from '../harness/peer.ts'
import { eventually } from '../harness/process.ts'
import { openRaw } from '../harness/raw.ts'
import { type RecordedRequest, startRecordingBackend } from '../harness/recording-backend.ts'
import { FRAMING_CASES } from './corpus/framing.ts'
import { HEADER_CASES } from './corpus/headers.ts'
import { LINE_CASES } from './corpus/lines.ts'
import { PROTOCOL_CASES } from './corpus/protocols.ts'
import type { ArrivingRequest, RequestCase } from './corpus/request-case.ts'
import { TARGET_CASES } from './corpus/targets.ts'

const CORPUS = {
  framing: FRAMING_CASES,
  lines: LINE_CASES,
  headers: HEADER_CASES,
  targets: TARGET_CASES,
  protocols: PROTOCOL_CASES,
}
const CALLER = 'id="spiffe://vcc.internal/org/brandenburg/svc/argus", class="mtls_certificate", permissions=()'
const FRAMES = new Set(['content-length', 'transfer-encoding', 'connection', 'x-vcc-caller'])

await using mesh = await startMesh({ services: { argus: ['covina'] } })
await using backend = await startRecordingBackend(({ line }) => {
  const body = line.startsWith('HEAD ') ? '' : line
  return [`HTTP/1.1 200 OK\r\ncontent-length: ${line.length}\r\n\r\n${body}`]
})
succeeded(await mesh.control.pki('services', 'register', 'covina'))
await using covina = await joinAgent(mesh.control, join(mesh.folder, 'covina'), {
  service: 'covina',
  targetPort: backend.port,
  outbound: [],
})
await covina.restart()
const argus = mesh.agent('argus')
const url = argus.url('covina')
await eventually('argus reaches covina', async () => (await fetch(url)).status === 200)
const pem = await readFile(join(argus.stateFolder, 'identity.pem'), 'utf8')

/** The ways in: from the local service through both agents, and at the inbound port as an agent or as anybody. */
const WAYS: Readonly<Record<string, () => Promise<Socket>>> = {
  'outbound listener': () => Promise.resolve(openRaw(argus.port('covina')).socket),
  'inbound listener, as an agent': async () => {
    return (await openAsAgent(covina.inboundPort, { keyPem: pem, chainPem: pem })).socket
  },
  'inbound listener, as a foreign client': foreign,
}

for (const [way, open] of Object.entries(WAYS)) {
  for (const [part, cases] of Object.entries(CORPUS)) {
    await t.test(`gate-18 ${part}: ${cases.length} requests at the ${way}`, async (t) => {
      for (const one of cases) {
        backend.requests.length = 0
        const answer = await exchange(await open(), one.send)
        const arrived = await arrivedBefore(`${part}-${way}`)
        const wrong = judge(one, answer, arrived)
        if (wrong === undefined) t.pass(one.name)
        else t.fail(`${one.name}: ${wrong}`, { answer: answer.slice(0, 1000), arrived })
      }
      t.same(backend.offences.splice(0), [], 'everything that arrived was proper HTTP/1.1')
    })
  }
}

/** What is wrong with what came of a case, if anything is. */
function judge(one: RequestCase, answer: string, arrived: readonly RecordedRequest[]): string | undefined {
  const statuses = [...answer.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status))
  if (one.refused !== undefined) {
    if (arrived.length > 0) return 'it arrived'
    const [status = 0, ...others] = statuses
    if (others.length > 0 || !one.refused.includes(status)) return `answered ${statuses.join(', ') || 'nothing'}`
    return undefined
  }
  const wanted = one.arrives ?? []
  if (arrived.length !== wanted.length) return `${arrived.length} requests arrived`
  return wanted.map((request, index) => difference(request, arrived[index])).find((why) => why !== undefined)
}

function difference(wanted: ArrivingRequest, arrived: RecordedRequest | undefined): string | undefined {
  if (arrived === undefined) return 'nothing arrived'
  if (arrived.line !== `${wanted.as} HTTP/1.1`) return `arrived as ${arrived.line}`
  if (arrived.body !== (wanted.body ?? '')) return `arrived with the body ${arrived.body}`
  const identities = arrived.headers.filter(([name]) => name.replaceAll('_', '-').startsWith('x-vcc'))
  if (identities.length !== 1 || identities[0]?.[1] !== CALLER) return 'arrived with another identity'
  const headers = arrived.headers.filter(([name]) => !FRAMES.has(name)).map(([name, value]) => `${name}: ${value}`)
  const expected = (wanted.headers ?? [['host', 'covina']]).map(([name, value]) => `${name}: ${value}`)
  return headers.join('\n') === expected.join('\n') ? undefined : `arrived with ${headers.join(' | ')}`
}

/**
 * What had arrived when a request that was sent later arrived. That one gets the answer to itself: no answer to another
 * request is left on a connection it could meet.
 */
async function arrivedBefore(mark: string): Promise<readonly RecordedRequest[]> {
  const response = await fetch(`${url}/mark?${encodeURIComponent(mark)}`)
  const line = `GET /mark?${encodeURIComponent(mark)} HTTP/1.1`
  const text = await response.text()
  if (text !== line) throw new Error(`the answer to another request: ${text}`)
  return backend.requests.filter((request) => request.line !== line)
}

async function exchange(socket: Socket, send: string): Promise<string> {
  let text = ''
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  const over = new Promise<void>((resolve) => socket.once('end', () => resolve()).once('close', () => resolve()))
  const deadline = setTimeout(() => {
    text += '\r\nHTTP/1.1 000 no end came\r\n'
    socket.destroy()
  }, 30_000)
  socket.write(Buffer.from(send, 'latin1'))
  await over
  clearTimeout(deadline)
  socket.destroy()
  return text
}

async function foreign(): Promise<Socket> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: covina.inboundPort,
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: false,
    key: pem,
    cert: pem,
  })
  await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  return socket
}
