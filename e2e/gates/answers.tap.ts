import { join } from 'node:path'
import t from 'tap'
import { joinAgent } from '../harness/agent.ts'
import { succeeded } from '../harness/control.ts'
import { startMesh } from '../harness/mesh.ts'
import { eventually } from '../harness/process.ts'
import { openRaw } from '../harness/raw.ts'
import { startRecordingBackend } from '../harness/recording-backend.ts'
import { metric } from '../harness/tables.ts'
import { usageOf } from '../harness/usage.ts'
import { ANSWER_CASES, type AnswerCase } from './corpus/answers.ts'

/** What the agents say themselves. */
const OWN_HEADERS = /^(date|connection|keep-alive|content-length|transfer-encoding|content-type|cache-control):/i

await using mesh = await startMesh({ services: { argus: ['covina'] } })
let answering: AnswerCase | undefined
await using backend = await startRecordingBackend(({ line }) => {
  if (answering !== undefined && / \/(case|early)/.test(line)) return answering.answer
  return [`HTTP/1.1 200 OK\r\ncontent-length: ${line.length}\r\n\r\n${line}`]
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

await t.test(
  `gate-18 ${ANSWER_CASES.length} answers of a service that lies, splits, floods and breaks off`,
  async (t) => {
    for (const one of ANSWER_CASES) {
      answering = one
      const { text, end } = await ask(one.method ?? 'GET')
      const wrong = judge(one, text, end)
      if (wrong === undefined) t.pass(one.name)
      else t.fail(`${one.name}: ${wrong}`, { text: text.slice(0, 1500), end })
      // Whoever asks next gets his own answer, on whatever connection.
      for (let next = 0; next < 2; next++) {
        const answer = await (await fetch(`${url}/next?${next}`)).text()
        if (answer !== `GET /next?${next} HTTP/1.1`) t.fail(`${one.name}: the next caller got ${answer}`)
      }
    }
  },
)

await t.test('gate-18 an answer that nobody asked for ends the connection it came on', async (t) => {
  answering = { name: 'quiet', answer: ['HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody'], status: 200 }
  for (let round = 0; round < 20; round++) {
    t.match((await ask('GET')).text, /body$/)
    backend.push('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond')
    await eventually('the agent has given up its connections', () => backend.open() === 0)
    t.equal(await (await fetch(`${url}/next`)).text(), 'GET /next HTTP/1.1')
  }
})

await t.test('gate-18 interim answers without end cost one connection, and no memory', async (t) => {
  const flood = 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(2000)
  answering = { name: 'flood', answer: Array.from({ length: 2000 }, () => flood), status: 502 }
  const before = await usageOf(covina.process().pid)
  const flooded = openRaw(argus.port('covina'), 'GET /case HTTP/1.1\r\nHost: covina\r\nConnection: close\r\n\r\n')
  for (let call = 0; call < 10; call++) t.equal((await fetch(url)).status, 200, 'others are served meanwhile')
  flooded.socket.destroy()
  await eventually('nothing of it is left', async () => {
    return metric(await covina.metrics(), 'vcc_agent_connections_open', { unit: 'request' }) === 0
  })
  const grown = (await usageOf(covina.process().pid)).rssBytes - before.rssBytes
  t.ok(grown < 64 * 2 ** 20, `${Math.round(grown / 2 ** 20)} MiB more`)
})

/** What is wrong with what the caller got, if anything is. */
function judge(one: AnswerCase, text: string, end: string): string | undefined {
  const at = text.indexOf('\r\n\r\n')
  const [line = '', ...headers] = text.slice(0, Math.max(at, 0)).split('\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1])
  if (status !== one.status) return `answered ${line || `nothing, ${end}`}`
  if (text.includes('X-Split') && !line.includes('X-Split')) return 'a header was split off'
  if (/forged|x-secret|second/i.test(text)) return 'something arrived that must not'
  if (one.broken === true) return end === 'ECONNRESET' ? undefined : `the end looks whole: ${end}`
  if (end !== 'end') return `the end is ${end}`
  if (status === 502) return text.includes('"code":"service_failed"') ? undefined : 'not the code of a failed service'
  const body = unframed(headers, text.slice(at + 4))
  if (body !== one.body) return `the body is ${JSON.stringify(body)}`
  const kept = headers.filter((header) => !OWN_HEADERS.test(header))
  return kept.join('\n') === (one.headers ?? []).join('\n') ? undefined : `arrived with ${kept.join(' | ')}`
}

function unframed(headers: readonly string[], bytes: string): string {
  if (!headers.some((header) => /^transfer-encoding: chunked$/i.test(header))) return bytes
  let body = ''
  for (let at = 0; ; ) {
    const line = bytes.indexOf('\r\n', at)
    const size = Number.parseInt(bytes.slice(at, line), 16)
    if (size === 0) return bytes.slice(line) === '\r\n\r\n' ? body : `${body} and ${bytes.slice(line)}`
    body += bytes.slice(line + 2, line + 2 + size)
    at = line + 4 + size
  }
}

async function ask(method: string): Promise<{ text: string; end: string }> {
  const body = method === 'POST' ? 'Content-Length: 100000\r\n' : ''
  const connection = openRaw(
    argus.port('covina'),
    `${method} ${method === 'POST' ? '/early' : '/case'} HTTP/1.1\r\nHost: covina\r\n${body}Connection: close\r\n\r\n${body === '' ? '' : 'begun'}`,
  )
  const deadline = setTimeout(() => connection.socket.destroy(), 30_000)
  const end = await connection.over
  clearTimeout(deadline)
  connection.socket.destroy()
  return { text: connection.text(), end }
}
