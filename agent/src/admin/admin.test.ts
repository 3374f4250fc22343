import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AgentError } from '../errors.ts'
import { askAgent } from './client.ts'
import { type AdminHandlers, serveAdmin } from './server.ts'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-admin-'))
  path = join(folder, 'admin.sock')
})
afterEach(() => rm(folder, { recursive: true }))

const HANDLERS: AdminHandlers = {
  status: () => ({ healthy: true }),
  explain: (source, target) => ({
    allowed: false,
    rule: 'default-deny',
    code: 'not_allowed',
    explanation: `${source} ${target}`,
  }),
  drain: async () => ({ cut: 2 }),
  logLevel: (level) => {
    if (level !== 'debug') throw new AgentError('admin_request_invalid', 'a log level is one of debug')
    return { level }
  },
}

test('the socket is for its owner only, and gone afterwards', async () => {
  {
    await using _ = await serveAdmin(path, HANDLERS)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['admin.sock'])
  }
  expect(await readdir(folder)).toEqual([])
})

test('every route answers', async () => {
  await using _ = await serveAdmin(path, HANDLERS)
  expect(await askAgent(path, 'GET /status')).toEqual({ healthy: true })
  expect(await askAgent(path, 'POST /explain', { source: 'argus', target: 'covina' })).toMatchObject({
    explanation: 'argus covina',
  })
  expect(await askAgent(path, 'POST /drain')).toEqual({ cut: 2 })
  expect(await askAgent(path, 'PUT /log-level', { level: 'debug' })).toEqual({ level: 'debug' })
})

const refused: readonly { name: string; route: string; body?: object }[] = [
  { name: 'an unknown level', route: 'PUT /log-level', body: { level: 'loud' } },
  { name: 'a missing field', route: 'POST /explain', body: { source: 'argus' } },
  { name: 'a field of another type', route: 'POST /explain', body: { source: 'argus', target: 7 } },
  { name: 'a name of 501 characters', route: 'POST /explain', body: { source: 'a'.repeat(501), target: 'b' } },
  { name: 'a body of 5 KB', route: 'PUT /log-level', body: { level: 'a'.repeat(5000) } },
  { name: 'a route that is none', route: 'GET /shutdown' },
  { name: 'another method', route: 'POST /status' },
]
for (const { name, route, body } of refused) {
  test(`${name} is refused`, async () => {
    await using _ = await serveAdmin(path, HANDLERS)
    await expect(askAgent(path, route, body)).rejects.toMatchObject({ code: 'admin_request_invalid' })
  })
}

test('an error nobody foresaw says nothing', async () => {
  await using _ = await serveAdmin(path, {
    ...HANDLERS,
    status: () => {
      throw new Error('secret')
    },
  })
  const text = await new Promise<string>((resolve) => {
    request({ socketPath: path, path: '/status' }, (response) =>
      response.on('data', (chunk) => resolve(String(chunk))),
    ).end()
  })
  expect(JSON.parse(text)).toEqual({ code: 'internal', message: 'internal error' })
  await expect(askAgent(path, 'GET /status')).rejects.toMatchObject({ code: 'admin_answer_invalid', exit: 'failed' })
})

test('two agents on one state folder: the second one is refused', async () => {
  await using _ = await serveAdmin(path, HANDLERS)
  await expect(serveAdmin(path, HANDLERS)).rejects.toMatchObject({ code: 'state_folder_busy', exit: 'conflict' })
  expect(await askAgent(path, 'GET /status')).toEqual({ healthy: true })
})

test('what a killed agent left there is replaced', async () => {
  const killed = createServer().listen(join(folder, 'x.sock'))
  await once(killed, 'listening')
  await rename(join(folder, 'x.sock'), path)
  killed.close()
  await using _ = await serveAdmin(path, HANDLERS)
  expect(await askAgent(path, 'GET /status')).toEqual({ healthy: true })
})

test('a file that is no socket stays what it is', async () => {
  await writeFile(path, 'the only copy')
  await expect(serveAdmin(path, HANDLERS)).rejects.toMatchObject({ code: 'admin_socket_unusable', exit: 'failed' })
  expect(await readFile(path, 'utf8')).toBe('the only copy')
})

test('a path as long as the kernel takes', async () => {
  const deep = join(folder, 'd'.repeat(107 - folder.length - '//admin.sock'.length))
  await mkdir(deep)
  await using _ = await serveAdmin(join(deep, 'admin.sock'), HANDLERS)
  expect(await askAgent(join(deep, 'admin.sock'), 'GET /status')).toEqual({ healthy: true })
})

test('words of more than a byte arrive whole, and a refusal with its hint', async () => {
  const detail = 'ä→…'.repeat(100_000)
  await using _ = await serveAdmin(path, {
    ...HANDLERS,
    status: () => ({ detail }),
    logLevel: () => {
      throw new AgentError('admin_request_invalid', 'no', { hint: 'ask the control plane' })
    },
  })
  expect(await askAgent(path, 'GET /status')).toEqual({ detail })
  const refusal = { code: 'admin_request_invalid', exit: 'usage', hint: 'ask the control plane' }
  await expect(askAgent(path, 'PUT /log-level', { level: 'ä' })).rejects.toMatchObject(refusal)
})

test('nobody there', async () => {
  await expect(askAgent(path, 'GET /status')).rejects.toMatchObject({ code: 'agent_unreachable', exit: 'unreachable' })
})
