import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from '@vcc/testkit'
import { httpLoad } from '../load.ts'
import type { OCSP_SERVERS, OcspServer } from '../peers/ocsp-server.ts'
import { type Row, row } from '../row.ts'

const ROUNDS = 7
const REQUESTS = 5_000

/** The responder as the control plane mounts it, next to a bare server that answers the same octets, and to cfssl's. */
export async function ocsp(): Promise<readonly Row[]> {
  await using stack = new AsyncDisposableStack()
  const start = async (kind: (typeof OCSP_SERVERS)[number]) => stack.use(await startServer(kind))
  const [plugin, listener, bare] = [await start('plugin'), await start('listener'), await start('bare')]
  const peers: Served[] = [
    { server: plugin, request: postOf(plugin.facts.request) },
    { server: bare, request: postOf(bare.facts.request) },
    { server: listener, request: postOf(listener.facts.request) },
    { server: plugin, request: getOf(plugin.facts.request) },
    { server: bare, request: getOf(bare.facts.request) },
    { server: plugin, request: postOf(plugin.facts.requestWithNonce) },
  ]
  const cfssl = await startCfssl(plugin.facts.response, stack)
  if (cfssl !== undefined) peers.push({ server: cfssl, request: postOf(plugin.facts.request) })
  const [post = 0, barePost = 0, listenerPost = 0, get = 0, bareGet = 0, signed = 0, theirs] = await measure(peers)
  const beside = { name: 'bare node:http', value: barePost }
  return [
    row({
      id: 'ocsp-post',
      what: 'a kept answer by POST, plugin',
      unit: 'µs CPU',
      ours: post,
      peer: beside,
      goal: 1.4,
    }),
    row({
      id: 'ocsp-post-listener',
      what: 'the same without Fastify',
      unit: 'µs CPU',
      ours: listenerPost,
      peer: beside,
      goal: 1.4,
    }),
    row({
      id: 'ocsp-get',
      what: 'a kept answer by GET, plugin',
      unit: 'µs CPU',
      ours: get,
      peer: { ...beside, value: bareGet },
      goal: 1.4,
    }),
    row({
      id: 'ocsp-nonce',
      what: 'an answer signed for its nonce, by POST, plugin',
      unit: 'µs CPU',
      ours: signed,
      peer: beside,
    }),
    row({ id: 'ocsp-rate', what: 'kept answers per second by POST on one core', unit: '/s', ours: 1e6 / post }),
    row({
      id: 'ocsp-nonce-rate',
      what: 'signed answers per second by POST on one core',
      unit: '/s',
      ours: 1e6 / signed,
    }),
    ...(theirs === undefined
      ? []
      : [
          row({
            id: 'ocsp-cfssl',
            what: 'a kept answer by POST, plugin',
            unit: 'µs CPU',
            ours: post,
            peer: { name: 'cfssl ocspserve', value: theirs },
          }),
        ]),
  ]
}

interface Served {
  readonly server: { readonly pid: number; readonly port: number }
  readonly request: Buffer
}

/** Median CPU microseconds per answer of each, in turns: what disturbs the machine disturbs all of them. */
async function measure(peers: readonly Served[]): Promise<number[]> {
  const rounds: number[][] = peers.map(() => [])
  for (let round = -1; round < ROUNDS; round++) {
    for (const [i, { server, request }] of peers.entries()) {
      const before = cpuMicrosecondsOf(server.pid)
      await httpLoad(server.port, request, REQUESTS)
      const each = (cpuMicrosecondsOf(server.pid) - before) / REQUESTS
      if (round >= 0) rounds[i]?.push(each) // the first one warms up
    }
  }
  return rounds.map((each) => each.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? 0)
}

/** Time that all threads of a process have run, from the kernel's scheduler. */
function cpuMicrosecondsOf(pid: number): number {
  const nanoseconds = readdirSync(`/proc/${pid}/task`).map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  )
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1000
}

async function startServer(kind: (typeof OCSP_SERVERS)[number]) {
  const script = fileURLToPath(new URL('../peers/ocsp-server.ts', import.meta.url))
  const child = spawn(process.execPath, [script, kind], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const facts = JSON.parse(line) as OcspServer
  return {
    pid: child.pid ?? 0,
    port: facts.port,
    facts,
    [Symbol.asyncDispose]: async () => {
      child.stdin.end()
      await once(child, 'exit')
    },
  }
}

function postOf(request: string): Buffer {
  const body = Buffer.from(request, 'base64')
  const head = `POST /ocsp HTTP/1.1\r\nhost: a\r\ncontent-type: application/ocsp-request\r\ncontent-length: ${body.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), body])
}

function getOf(request: string): Buffer {
  return Buffer.from(`GET /ocsp/${encodeURIComponent(request)} HTTP/1.1\r\nhost: a\r\n\r\n`)
}

/** cfssl over one answer of ours, where Go can build it; it takes what somebody else has signed. */
async function startCfssl(response: string, stack: AsyncDisposableStack) {
  const binary = await cfsslBinary()
  if (binary === undefined) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'vcc-cfssl-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'responses'), `${response}\n`)
  const port = await freePort()
  const options = [
    'ocspserve',
    '-address=127.0.0.1',
    `-port=${port}`,
    `-responses=${join(folder, 'responses')}`,
    '-path=/ocsp',
    '-loglevel=5',
  ]
  const child = spawn(binary, options, { stdio: 'ignore' })
  stack.defer(async () => {
    child.kill()
    await once(child, 'exit')
  })
  await untilListening(port)
  return { pid: child.pid ?? 0, port }
}

const BINARIES = fileURLToPath(new URL('../../../.interop/bin/', import.meta.url))

async function cfsslBinary(): Promise<string | undefined> {
  const binary = `${BINARIES}cfssl`
  if (existsSync(binary)) return binary
  process.stdout.write('building cfssl with Go …\n')
  try {
    const options = { env: { ...process.env, GOBIN: BINARIES }, timeout: 600_000 }
    await promisify(execFile)('go', ['install', 'github.com/cloudflare/cfssl/cmd/cfssl@v1.6.5'], options)
    return binary
  } catch (error) {
    process.stdout.write(`no cfssl: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}\n`)
    return undefined
  }
}

async function untilListening(port: number): Promise<void> {
  const until = performance.now() + 20_000
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch (error) {
      if (performance.now() > until) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    } finally {
      socket.destroy()
    }
  }
}
