import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { PROXY_REFUSALS } from '@vcc/agent'
import { DENIALS } from '@vcc/policy'
import { decodeCertificate, decodePem, X509_FAILURES } from '@vcc/x509'
import { joinAgent } from '../../harness/agent.ts'
import { startControlPlane, succeeded } from '../../harness/control.ts'
import { MATRIX_FILE } from '../../harness/paths.ts'
import { eventually } from '../../harness/process.ts'
import { usageOf } from '../../harness/usage.ts'
import { mutateHttp } from '../mutate/http.ts'
import { mutateMqtt } from '../mutate/mqtt.ts'
import type { Random } from '../random.ts'
import { FuzzFault, type Verdict } from '../target.ts'

/** A listener of a real process. */
export interface SocketTarget {
  readonly name: string
  readonly draw: (random: Random) => Uint8Array
  /** Writes the input to a connection of its own and judges all that comes back until the end. */
  readonly feed: (input: Uint8Array) => Promise<Verdict>
  /** That the process still does its work, and what it holds. */
  readonly assertWell: () => Promise<void>
  readonly heldBytes: () => Promise<number>
}

/** Longer than any deadline of the listeners: what is open then hangs. */
const CASE_LIMIT_MS = 60_000
const SILENCE_MS = 400
/** `OK`, before anything else on a connection between agents. */
const GREETING_BYTES = 2

export const SOCKET_TARGET_NAMES = ['mqtt-socket', 'http-outbound-socket', 'http-inbound-socket'] as const

/** A control plane with its embedded broker, and two agents in HTTP mode before a service that looks at what arrives. */
export async function startSocketTargets(stack: AsyncDisposableStack): Promise<readonly SocketTarget[]> {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-fuzz-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const seen: string[] = []
  const service = createServer((request, response) => {
    if (request.url !== '/health') seen.push(...wrongIn(request))
    request.resume().once('end', () => response.end('ok'))
    request.on('error', () => response.destroy())
  })
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve))
  stack.defer(() => {
    service.closeAllConnections()
    service.close()
  })
  const targetPort = (service.address() as AddressInfo).port
  const control = stack.use(await startControlPlane(join(folder, 'control'), { broker: 'embedded' }))
  for (const name of ['argus', 'covina']) succeeded(await control.pki('services', 'register', name))
  succeeded(await control.pki('policy', 'apply', MATRIX_FILE, '--yes'))
  const covina = stack.use(
    await joinAgent(control, join(folder, 'covina'), { service: 'covina', targetPort, outbound: [] }),
  )
  const argus = stack.use(
    await joinAgent(control, join(folder, 'argus'), { service: 'argus', targetPort, outbound: ['covina'] }),
  )
  // A third identity that no process uses: what it does is this test's.
  const idle = await joinAgent(control, join(folder, 'idle'), { service: 'argus', targetPort, outbound: [] })
  await covina.restart()
  await argus.restart()
  const pem = await readFile(join(idle.stateFolder, 'identity.pem'), 'utf8')
  const [leaf = new Uint8Array()] = decodePem(pem, 'CERTIFICATE')
  const instance = decodeCertificate(leaf).subject.attributes[0]?.value ?? ''
  const identity = {
    key: pem,
    cert: pem,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  }

  const works = () => eventually('argus reaches covina', async () => (await fetch(argus.url('covina'))).status === 200)
  await works()
  const assertService = async () => {
    await works()
    if (seen.length > 0)
      throw new FuzzFault(`the service got what no agent may pass on: ${seen.slice(0, 5).join('; ')}`)
    for (const agent of [argus, covina]) assertQuiet(agent.process().output())
  }
  const heldBy =
    (...pids: readonly number[]) =>
    async () => {
      const usages = await Promise.all(pids.map(usageOf))
      return usages.reduce((sum, { rssBytes }) => sum + rssBytes, 0)
    }
  return [
    {
      name: 'mqtt-socket',
      draw: (random) => mutateMqtt(instance, random),
      async feed(input) {
        const answer = await exchange(connectTls({ ...identity, port: control.ports.broker }), input, 'secureConnect')
        return judgeMqtt(answer)
      },
      async assertWell() {
        if (control.process().hasExited()) throw new FuzzFault('the control plane ended')
        assertQuiet(control.process().output())
        const good = Buffer.from(`101c00044d5154540402003c0010${Buffer.from(instance).toString('hex')}e000`, 'hex')
        const answer = await exchange(connectTls({ ...identity, port: control.ports.broker }), good, 'secureConnect')
        if (answer.toString('hex') !== '20020000') throw new FuzzFault('the broker no longer takes a good client')
      },
      heldBytes: heldBy(control.process().pid),
    },
    {
      name: 'http-outbound-socket',
      draw: mutateHttp,
      async feed(input) {
        return judgeHttp(
          await exchange(connectTcp({ host: '127.0.0.1', port: argus.port('covina') }), input, 'connect'),
        )
      },
      assertWell: assertService,
      heldBytes: heldBy(argus.process().pid, covina.process().pid),
    },
    {
      name: 'http-inbound-socket',
      draw: mutateHttp,
      async feed(input) {
        const socket = connectTls({
          ...identity,
          port: covina.inboundPort,
          ALPNProtocols: ['vcc/1'],
          minVersion: 'TLSv1.3',
        })
        const answer = await exchange(socket, input, 'secureConnect', GREETING_BYTES)
        if (answer.length > 0 && answer.subarray(0, 2).toString('latin1') !== 'OK') {
          throw new FuzzFault(`the agent greets with ${answer.subarray(0, 80).toString('latin1')}`)
        }
        return judgeHttp(answer.subarray(GREETING_BYTES))
      },
      assertWell: assertService,
      heldBytes: heldBy(covina.process().pid),
    },
  ]
}

/**
 * Everything that comes back until the other side ends; a connection that is reset has ended too. Our own end is said once an
 * answer begins, or when silence shows that more is waited for: to end earlier would be to hang up.
 */
async function exchange(
  socket: Socket,
  input: Uint8Array,
  ready: 'connect' | 'secureConnect',
  greeting = 0,
): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  let silence: NodeJS.Timeout | undefined
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const deadline = setTimeout(() => reject(new FuzzFault('the connection does not end')), CASE_LIMIT_MS)
  socket.once(ready, () => {
    socket.write(input)
    silence = setTimeout(() => socket.end(), SILENCE_MS)
  })
  socket.on('data', (part: Buffer) => {
    parts.push(part)
    bytes += part.length
    if (bytes > greeting) socket.end()
  })
  socket.on('error', () => {})
  socket.on('close', resolve)
  try {
    await promise
  } finally {
    clearTimeout(deadline)
    clearTimeout(silence)
    socket.destroy()
  }
  return Buffer.concat(parts)
}

/** CONNACK first (MQTT 3.1.1 §3.2), or nothing at all. */
function judgeMqtt(answer: Buffer): Verdict {
  if (answer.length === 0) return 'refused'
  if (answer[0] !== 0x20 || answer[1] !== 2)
    throw new FuzzFault(`the broker begins with ${answer.subarray(0, 16).toString('hex')}`)
  return answer[3] === 0 ? 'taken' : 'refused'
}

/** Whole responses one after the other, each of the service or with a code of our table. */
function judgeHttp(answer: Buffer): Verdict {
  const text = answer.toString('latin1')
  if (text === '') return 'refused'
  if (!text.startsWith('HTTP/1.1 ')) throw new FuzzFault(`no HTTP response: ${text.slice(0, 80)}`)
  let verdict: Verdict = 'refused'
  for (const response of text.split(/(?=HTTP\/1\.1 \d{3} )/)) {
    const status = Number(response.slice(9, 12))
    if (status === 100) continue
    if (status < 300) verdict = 'taken'
    if (status === 500) throw new FuzzFault(`a fault of our own: ${response.slice(0, 400)}`)
    if (!/^content-type: application\/problem\+json/im.test(response)) continue
    const code = /"code":"([a-z0-9_]+)"/.exec(response)?.[1]
    if (/\r\n\r\n./s.test(response) && (code === undefined || !isKnown(code))) {
      throw new FuzzFault(`a refusal without a code of ours: ${response.slice(0, 400)}`)
    }
  }
  return verdict
}

function isKnown(code: string): boolean {
  return [PROXY_REFUSALS, DENIALS, X509_FAILURES].some((table) => Object.hasOwn(table, code))
}

/** What of a request that reached the service must never have. */
function wrongIn({ rawHeaders, url, method }: IncomingMessage): string[] {
  const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase().replaceAll('_', '-'))
  const count = (name: string) => names.filter((one) => one === name).length
  const framing = count('content-length') + count('transfer-encoding')
  const wrong = [
    count('x-vcc-caller') === 1 ? '' : `${count('x-vcc-caller')} callers`,
    count('host') === 1 ? '' : `${count('host')} hosts`,
    framing <= 1 ? '' : 'ambiguous framing',
    names.some((name) => name === 'x-forwarded-client-cert' || name === 'x-ssl-client-verify')
      ? 'a foreign identity'
      : '',
    names.some((name) => name === 'upgrade' || name === 'te' || name === 'proxy-connection')
      ? 'a hop-by-hop field'
      : '',
    /^\/(?!\/)/.test(url ?? '') && !/%2f|%5c|%00|\/\.\.?(?:\/|$)/i.test(url ?? '')
      ? ''
      : 'a path that is not canonical',
  ].filter((one) => one !== '')
  return wrong.map((one) => `${one} in ${method} ${url}`)
}

/** No event of the level that means a fault of the program. */
function assertQuiet(output: string): void {
  const loud = output.split('\n').find((line) => /"level":"(?:error|fatal)"/.test(line))
  if (loud !== undefined) throw new FuzzFault(`it logs a fault of its own: ${loud.slice(0, 600)}`)
}
