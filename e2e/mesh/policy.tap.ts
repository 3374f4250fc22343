import { readFile, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { joinAgent } from '../harness/agent.ts'
import { startMesh } from '../harness/mesh.ts'
import { MATRIX_FILE } from '../harness/paths.ts'
import { greet } from '../harness/peer.ts'
import { eventually } from '../harness/process.ts'
import { openStream } from '../harness/stream.ts'
import { events } from '../harness/tables.ts'

// argus and covina speak HTTP, veritas any protocol.
await using mesh = await startMesh({
  services: { argus: ['covina', 'clara'], covina: ['veritas', 'clara'], clara: ['covina'], veritas: [] },
  modes: { veritas: 'tcp' },
})
const matrix = await readFile(MATRIX_FILE, 'utf8')
const pki = mesh.control.pki

async function apply(name: string, text: string, ...more: string[]) {
  const file = join(mesh.folder, `${name}.yml`)
  await writeFile(file, text)
  return pki('policy', 'apply', file, '--yes', '--wait', '30s', ...more)
}

/** A TCP connection through veritas' agent to the Python service, kept open. */
async function tcpConnection(port: number): Promise<{ socket: Socket; isOver: () => boolean }> {
  const socket = connect(port, '127.0.0.1')
  let over = false
  socket.on('error', () => {})
  socket.on('close', () => (over = true))
  let answer = ''
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
  socket.write('GET /health HTTP/1.1\r\nHost: veritas\r\n\r\n')
  await eventually('veritas answers over TCP', () => answer.includes('"ok"'))
  return { socket, isOver: () => over }
}

await t.test('gate-06 a change cuts live connections it no longer allows, and no others', async (t) => {
  const cut = await openStream(`${mesh.agent('argus').url('covina')}/stream`)
  const kept = await openStream(`${mesh.agent('argus').url('clara')}/stream`)
  const tcp = await tcpConnection(mesh.agent('covina').port('veritas'))
  const changed = matrix
    .replace('[covina, clara, vpb]', '[clara, vpb]')
    .replace('[clara, veritas, "*_database"]', '[clara]')
  const given = Date.now()
  const applied = await apply('cut', changed)
  t.equal(applied.code, 0)
  t.match(applied.stdout, /in force on 4 of 4/)
  t.match(applied.stderr, /- argus → covina \(argus\.allowed_outbound\[0\]\)/, 'the diff came first')
  await eventually('the HTTP stream is cut', () => cut.isOver())
  await eventually('the TCP connection is cut', () => tcp.isOver())
  const before = kept.lines()
  await eventually('the other stream goes on', () => kept.lines() > before + 2)
  t.notOk(kept.isOver(), 'an edge that is still there keeps its stream')
  kept.close()
  // Whichever agent has the change first cuts; the other one sees its peer go.
  const record = await eventually('an agent records the cut', () =>
    ['argus', 'covina']
      .flatMap((name) => events(mesh.agent(name).process().output(), 'access'))
      .find((one) => one['result'] === 'cut' && String(one['target']).endsWith('/svc/covina')),
  )
  t.match(record, { code: 'not_allowed', rule: 'default-deny' }, 'the record says which rule')
  const ms = Date.parse(String(record['time'])) - given
  t.comment(
    `cut ${ms} ms after the command was given, the start of the command and of the control plane’s work included`,
  )
})

await t.test('a roll-back with one command brings the edges back', async (t) => {
  const rolledBack = await pki('policy', 'rollback', '--yes', '--wait', '30s')
  t.equal(rolledBack.code, 0)
  await eventually(
    'argus → covina is back',
    async () => (await fetch(mesh.agent('argus').url('covina'))).status === 200,
  )
  const list = (await mesh.control.pkiJson('policy', 'list')) as {
    active_version: number
    items: { rolled_back_to: number | null }[]
  }
  t.equal(list.active_version, 3)
  t.equal(list.items[0]?.rolled_back_to, 1)

  const again = await pki('policy', 'rollback', '--yes')
  t.match(again.stderr, /there is no earlier version/, 'the next one goes on from the version that came back')
  t.notMatch(again.stderr, /argus → covina/, 'and shows no change that it would not make')
  const tooLong = await pki('policy', 'rollback', '--yes', '--wait', '2m')
  t.equal(tooLong.code, 2)
  t.match(tooLong.stderr, /--wait takes at most 60s, not "2m".*\[option_invalid\]/s)
})

await t.test('an invalid matrix changes nothing and names every fault with its place', async (t) => {
  const applied = await apply(
    'invalid',
    matrix
      .replace('allowed_outbound: [covina]', 'allowed_outbond: [covina]')
      .replace('isolation_level: high', 'isolation_level: hgh'),
  )
  t.equal(applied.code, 2)
  t.match(applied.stderr, /invalid\.yml:\d+:\d+: .*allowed_outbond/)
  t.match(applied.stderr, /invalid\.yml:\d+:\d+: .*hgh/)
  t.match(applied.stderr, /\[policy_invalid\]/)
  t.equal((await mesh.control.pkiJson('policy', 'list'))['active_version'], 3)
})

await t.test('a wildcard never admits into isolation_level high, an explicit name does', async (t) => {
  const wild = matrix.replace('allowed_outbound: [covina, clara, vpb]', 'allowed_outbound: [covina, "cla*", vpb]')
  t.equal((await apply('wild', wild)).code, 0)
  const refused = await eventually('argus → clara is refused', async () => {
    const response = await fetch(mesh.agent('argus').url('clara'))
    return response.status === 403 ? ((await response.json()) as Record<string, unknown>) : undefined
  })
  t.match(refused, { code: 'wildcard_into_high', rule: 'clara.isolation_level', side: 'caller' })
  const check = await pki('check', 'argus', 'clara')
  t.equal(check.code, 3)
  const explained = await mesh.agent('argus').cli('explain', 'argus', 'clara')
  t.equal(explained.code, 3)
  t.match(explained.stdout, /clara\.isolation_level/, 'agent and control plane name the same rule')
  t.match(check.stdout, /clara\.isolation_level/)
  t.equal((await apply('back', matrix)).code, 0)
})

await t.test('the class of a service with live instances cannot change', async (t) => {
  const changed = await apply(
    'class',
    matrix.replace('required_auth: mtls_certificate', 'required_auth: ui_service_certificate'),
  )
  t.equal(changed.code, 6)
  t.match(changed.stderr, /class_change_unsupported/)
  const unknown = await apply(
    'unknown',
    matrix.replace('required_auth: mtls_certificate', 'required_auth: batch_certificate'),
  )
  t.equal(unknown.code, 2, 'a class that nobody may grant is refused')
})

await t.test('in force on n of m, with one agent away', async (t) => {
  await mesh.agent('veritas').process().stop('SIGKILL')
  const applied = await apply(
    'away',
    matrix.replace('allowed_outbound: [covina, clara, "*_ingestion"]', 'allowed_outbound: [covina]'),
    '--wait',
    '3s',
  )
  t.equal(applied.code, 8, 'pending')
  t.match(applied.stdout, /in force on 3 of 4/)
  t.match(applied.stdout, /not yet: veritas/)
  await mesh.agent('veritas').restart()
  await eventually('veritas has it after its return', async () => {
    const status = await mesh.control.pkiJson('status')
    return status['in_force'] === 4
  })
})

await t.test('an external service without an agent is decided on the caller’s side', async (t) => {
  const database = createServer((socket) => socket.end('database\n'))
  await new Promise<void>((resolve) => database.listen(0, '127.0.0.1', () => resolve()))
  const address = database.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const registered = await pki(
    'services',
    'register',
    'covina_database',
    '--external',
    '--address',
    `127.0.0.1:${port}`,
    '--trust',
    'plain',
  )
  t.equal(registered.code, 0, registered.stderr)
  // A second instance of covina, with a port for the database: several instances of one service are normal.
  await using second = await joinAgent(mesh.control, join(mesh.folder, 'covina-2'), {
    service: 'covina',
    targetPort: mesh.service('covina').port,
    outbound: ['covina-database'],
  })
  await second.restart()
  const answer = await eventually('the database answers', async () => {
    let text = ''
    const socket = connect(second.port('covina-database'), '127.0.0.1')
    socket.on('error', () => {})
    for await (const chunk of socket) text += String(chunk)
    return text === '' ? undefined : text
  })
  t.equal(answer, 'database\n')
  t.equal((await pki('check', 'argus', 'covina_database')).code, 3, 'nobody else may')
  database.close()
})

await t.test('a service that is deregistered is nobody’s caller and nobody’s target, at once', async (t) => {
  const [argus, covina, clara] = [mesh.agent('argus'), mesh.agent('covina'), mesh.agent('clara')]
  const toCovina = await openStream(`${argus.url('covina')}/stream`)
  const fromCovina = await openStream(`${covina.url('clara')}/stream`)
  const kept = await openStream(`${argus.url('clara')}/stream`)
  t.equal((await pki('services', 'deregister', 'covina', '--yes')).code, 0)
  await eventually('what calls it is cut', () => toCovina.isOver())
  await eventually('what it calls is cut', () => fromCovina.isOver())
  const cuts = async (agent: typeof argus, code: string) =>
    eventually(`${agent.service} records the cut`, () =>
      events(agent.process().output(), 'access').find((one) => one['result'] === 'cut' && one['code'] === code),
    )
  t.match(await cuts(argus, 'target_not_registered'), { rule: 'registry' })
  t.match(await cuts(clara, 'source_not_registered'), { rule: 'registry' })
  const refused = await fetch(argus.url('covina'))
  t.equal(refused.status, 403)
  t.match(await refused.json(), { code: 'target_not_registered', rule: 'registry', side: 'caller' })
  // Its certificate is good for days yet, and its own agent holds the state of before.
  const identity = await readFile(join(covina.stateFolder, 'identity.pem'), 'utf8')
  const greeting = await greet(clara.inboundPort, { keyPem: identity, chainPem: identity })
  t.match(greeting, { said: 'source_not_registered', rule: 'registry' })
  const told = await fetch(covina.url('clara'))
  t.match([told.status, await told.json()], [403, { code: 'source_not_registered', side: 'callee' }])
  t.match((await argus.cli('explain', 'argus', 'covina')).stdout, /but covina is not registered/)
  t.equal((await pki('check', 'argus', 'covina')).code, 3)
  const before = kept.lines()
  await eventually('the other stream goes on', () => kept.lines() > before + 2)
  kept.close()
})
