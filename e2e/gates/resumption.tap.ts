import { X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts, secondsAfter, testInstance, testPki } from '@vcc/testkit'
import { classOid, DEFAULT_OID_ARC } from '@vcc/x509'
import t from 'tap'
import { joinAgent, type MeshAgent } from '../harness/agent.ts'
import { succeeded } from '../harness/control.ts'
import { startTcpService } from '../harness/local-service.ts'
import { MATRIX_FILE } from '../harness/paths.ts'
import { openAsAgent, type Shown, startImpostor } from '../harness/peer.ts'
import { eventually } from '../harness/process.ts'
import { openRaw } from '../harness/raw.ts'
import { openStateForge } from '../harness/state-forge.ts'
import { startForgedMesh } from './forged-mesh.ts'

const MTLS = classOid(DEFAULT_OID_ARC, 1)
const HTTP_ANSWER = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nclara')
const matrix = await readFile(MATRIX_FILE, 'utf8')
const SPIFFE = 'spiffe://vcc.internal/org/brandenburg/svc'

// covina speaks any protocol, clara HTTP. A second instance of argus has joined and does not run: the test is it.
await using forged = await startForgedMesh({ services: { argus: ['covina', 'clara'], clara: [] } })
const { mesh, issuers } = forged
const { control } = mesh
await using service = await startTcpService()
succeeded(await control.pki('services', 'register', 'covina', '--mode', 'tcp'))
await using covina = await joinAgent(control, join(mesh.folder, 'covina'), {
  service: 'covina',
  targetPort: service.port,
  outbound: [],
})
await covina.restart()
const argus = mesh.agent('argus')
const clara = mesh.agent('clara')
const client = shownBy(
  await readIdentity(
    await joinAgent(control, join(mesh.folder, 'client'), { service: 'argus', targetPort: 1, outbound: [] }),
  ),
)
const covinaShown = shownBy(await readIdentity(covina))
await eventually('argus reaches covina', async () => {
  const connection = openRaw(argus.port('covina'), 'echo\nhello')
  connection.socket.end()
  await connection.over
  return connection.text() === 'hello'
})
await eventually('argus reaches clara', async () => (await fetch(argus.url('clara'))).status === 200)

await t.test('gate-01 a revoked client with an old ticket is refused, and so is its live connection', async (t) => {
  const ticket = await ticketFor(client)
  const live = await openAsAgent(covina.inboundPort, client, { session: ticket })
  t.equal(live.said, 'OK')
  t.notOk(live.socket.isSessionReused(), 'a ticket by covina’s own key is worth nothing')
  const serial = new X509Certificate(client.chainPem).serialNumber.toLowerCase()
  const revoked = await control.pki('revoke', serial, '--reason', 'key-compromise', '--yes', '--wait', '30s')
  t.equal(revoked.code, 0, revoked.stderr)
  await eventually('its live connection is closed', live.isOver)
  // OpenSSL gives out tickets that name a session it does not keep; they are worth nothing either.
  for (const session of [undefined, ticket, ...live.tickets]) {
    const again = await openAsAgent(covina.inboundPort, client, session === undefined ? {} : { session })
    t.equal(again.said, 'peer_denied')
    t.notOk(again.socket.isSessionReused())
  }
})

await t.test('gate-03 on the calling side a changed policy or a changed peer meets no session of before', async (t) => {
  const claraShown = shownBy(await readIdentity(clara))
  await clara.process().stop()
  const tls = { first: Buffer.from('OK'), answer: HTTP_ANSWER, ticketKeys: Buffer.alloc(48, 7) }
  const ask = async (path = '') => {
    const response = await fetch(`${argus.url('clara')}${path}`)
    return { status: response.status, body: await response.text() }
  }
  const answered = (status: number) =>
    eventually(`argus → clara is answered ${status}`, async () => {
      const one = await ask()
      return one.status === status ? one : undefined
    })
  const same = await startImpostor(clara.inboundPort, claraShown, tls)
  for (let request = 1; request <= 2; request++) t.match(await ask(), { status: 200, body: 'clara' })
  t.same(same.resumed(), [false], 'two requests go over one connection, made by a full handshake')
  await apply('without', matrix.replace('[covina, clara, vpb]', '[covina, vpb]'))
  const refused = await answered(403)
  t.match(refused.body, /"not_allowed"/, 'the policy flips')
  t.match(await ask('/asked'), { status: 403 })
  t.notMatch(same.heard().toString('latin1'), '/asked', 'nothing more is asked on the connection of before')
  await apply('with', matrix)
  t.equal((await answered(200)).body, 'clara', 'and back')
  t.ok(same.resumed().every((was) => !was))
  await same[Symbol.asyncDispose]()

  const veritas = await issuers.services.leaf({
    commonName: testInstance(),
    uris: [`${SPIFFE}/veritas`],
    dnsNames: ['veritas.vcc.internal'],
    policies: [classOid(DEFAULT_OID_ARC, 4)],
  })
  // Resumes for whoever shows a ticket of before: the keys of the tickets are the same.
  await using other = await startImpostor(clara.inboundPort, veritas, tls)
  t.match(await ask(), { status: 502, body: /"peer_not_expected"/ }, 'the peer is another one')
  t.ok(other.resumed().every((was) => !was))
  t.equal(other.heard().length, 0, 'and hears nothing')
})

await t.test('gate-02 a CA is taken out of the issuer table: its client with an old ticket is refused', async (t) => {
  forged.takeOver()
  const forge = await openStateForge(issuers, covina)
  const second = await issuers.root.authority('services-ca', 'A second services CA', [MTLS])
  const issued = testPki().service('argus', { notBefore: secondsAfter(new Date(), -60) }, second)
  const shown = { keyPem: issued.keyPem, chainPem: issued.chainPem }
  const content = forge.fleetContent()
  const row = {
    spkiSha256: second.certificate.publicKey.spkiSha256Hex,
    certificate: Buffer.from(second.certDer).toString('base64'),
    organizations: ['brandenburg'],
    classes: [MTLS],
    purposes: ['service' as const],
  }
  const says = (word: string, options = {}) =>
    eventually(`covina says ${word}`, async () => {
      const one = await openAsAgent(covina.inboundPort, shown, options)
      if (one.said === word) return one
      one.socket.destroy()
      return undefined
    })
  await says('issuer_not_in_table')
  forged.publish({ fleet: await forge.fleet({ issuers: [...content.issuers, row] }) })
  const live = await says('OK')
  const ticket = await ticketFor(shown)
  forged.publish({ fleet: await forge.fleet({ issuers: content.issuers }) })
  await eventually('its live connection is closed', live.isOver)
  const again = await says('issuer_not_in_table', { session: ticket })
  t.notOk(again.socket.isSessionReused())
  const other = await issuers.services.leaf({
    commonName: testInstance(),
    uris: [`${SPIFFE}/argus`],
    dnsNames: ['argus.vcc.internal'],
    policies: [MTLS],
  })
  t.equal((await openAsAgent(covina.inboundPort, other)).said, 'OK', 'clients of the other CA are welcome')
})

/** A ticket that a server with covina's own certificate and key gave to the client, and would honour. */
async function ticketFor(shown: Shown): Promise<Buffer> {
  const [port = 0] = await freePorts(1)
  await using _ = await startImpostor(port, covinaShown, { first: Buffer.from('OK') })
  const first = await openAsAgent(port, shown)
  const ticket = await eventually('a ticket comes', () => first.tickets[0])
  first.socket.destroy()
  const second = await openAsAgent(port, shown, { session: ticket })
  if (!second.socket.isSessionReused()) throw new Error('the ticket is none')
  second.socket.destroy()
  await second.over
  return ticket
}

async function readIdentity(agent: MeshAgent): Promise<string> {
  return readFile(join(agent.stateFolder, 'identity.pem'), 'utf8')
}

function shownBy(pem: string): Shown {
  return { keyPem: pem, chainPem: pem }
}

async function apply(name: string, text: string): Promise<void> {
  const file = join(mesh.folder, `${name}.yml`)
  await writeFile(file, text)
  succeeded(await control.pki('policy', 'apply', file, '--yes', '--wait', '1s', '--accept-pending'))
}
