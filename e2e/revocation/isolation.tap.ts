import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { joinAgent } from '../harness/agent.ts'
import { succeeded } from '../harness/control.ts'
import { startMesh } from '../harness/mesh.ts'
import { eventually, run } from '../harness/process.ts'
import { openStream } from '../harness/stream.ts'
import { events } from '../harness/tables.ts'

await using mesh = await startMesh({ services: { argus: ['covina', 'clara'], covina: ['clara'], clara: ['covina'] } })
const { pki, pkiJson, control } = { ...mesh.control, control: mesh.control }
const argusToCovina = `${mesh.agent('argus').url('covina')}/work`
const statusOf = async (url: string) => (await fetch(url)).status

interface Answer {
  readonly enforcement: {
    readonly enforced_on: number
    readonly of: number
    readonly not_reached: { service: string }[]
  }
  readonly denial?: { readonly denial_id: string }
}

/** The record of whichever agent cut first. */
const cut = (code: string) =>
  eventually(`an agent records ${code}`, () =>
    ['argus', 'covina']
      .flatMap((name) => events(mesh.agent(name).process().output(), 'access'))
      .find((one) => one['result'] === 'cut' && one['code'] === code),
  )

await t.test('an identity is denied: live streams end, new calls are refused, and it is released again', async (t) => {
  const stream = await openStream(`${mesh.agent('argus').url('covina')}/stream`)
  const other = await openStream(`${mesh.agent('clara').url('covina')}/stream`)
  const denied = (await pkiJson(
    'deny',
    'identity',
    'argus',
    '--note',
    'INC-7',
    '--yes',
    '--wait',
    '30s',
  )) as unknown as Answer
  t.match(denied.enforcement, { enforced_on: 2, of: 2, not_reached: [] }, 'argus itself does not count')
  await eventually('the stream of argus is cut', () => stream.isOver())
  t.match(await cut('peer_denied'), { rule: 'identity' })
  const before = other.lines()
  await eventually('the stream of clara goes on', () => other.lines() > before + 1)
  t.not(await statusOf(argusToCovina), 200)
  const token = await pki('tokens', 'create', 'argus', '--output', join(mesh.folder, 'argus.token'))
  t.equal(token.code, 0)
  await t.rejects(
    joinAgent(control, join(mesh.folder, 'argus-2'), { service: 'argus', targetPort: 1, outbound: [] }),
    /identity_denied|shut out/,
    'whatever certificate: it gets no new one either',
  )
  const id = denied.denial?.denial_id ?? ''
  const released = await pki('denials', 'release', id, '--yes', '--wait', '30s')
  t.equal(released.code, 0)
  await eventually('argus is let in again', async () => (await statusOf(argusToCovina)) === 200)
  other.close()
})

await t.test('a denial survives the restart of an agent that hears of nothing', async (t) => {
  const denied = (await pkiJson(
    'deny',
    'identity',
    'argus',
    '--note',
    'test',
    '--yes',
    '--wait',
    '30s',
  )) as unknown as Answer
  t.equal(denied.enforcement.enforced_on, 2)
  await control.process().stop('SIGKILL')
  await mesh.agent('covina').restart()
  t.not(await statusOf(argusToCovina), 200)
  await eventually('covina’s agent refuses argus', () =>
    events(mesh.agent('covina').process().output(), 'access').some((one) => one['code'] === 'peer_denied'),
  )
  await control.restart()
  const id = denied.denial?.denial_id ?? ''
  await eventually(
    'the release reaches both',
    async () => (await pki('denials', 'release', id, '--yes', '--wait', '30s')).code === 0 || undefined,
  )
  await eventually('argus is let in again', async () => (await statusOf(argusToCovina)) === 200)
})

await t.test('gate-06 revoked while a stream is open: it ends, and an agent that is away is named', async (t) => {
  const stream = await openStream(`${mesh.agent('argus').url('covina')}/stream`)
  const { items } = (await pkiJson('instances', 'list', '--service', 'argus')) as { items: { latest_serial: string }[] }
  const serial = items[0]?.latest_serial ?? ''
  await mesh.agent('clara').process().stop()
  const revoked = await pki('revoke', serial, '--reason', 'key-compromise', '--yes', '--wait', '3s')
  t.equal(revoked.code, 8, 'not everywhere yet')
  t.match(revoked.stdout, /enforced on 1 of 2 agents/)
  t.match(revoked.stdout, /not reached: clara [a-z0-9]{16}.*without news it stops at \d{4}-/)
  t.match(revoked.stdout, /blocked for ever: the key [0-9a-f]{64}/)
  await eventually('the stream is cut', () => stream.isOver())
  t.not(await statusOf(argusToCovina), 200)
  const again = await pki('revoke', serial, '--reason', 'superseded', '--yes')
  t.equal(again.code, 6)
  t.match(again.stderr, /already_revoked/)
  await mesh.agent('clara').restart()
  await eventually('clara’s agent hears of it', async () => {
    const list = (await pkiJson('instances', 'list', '--service', 'clara')) as { items: { in_force: boolean }[] }
    return list.items.every((one) => one.in_force)
  })
})

await t.test('the same stands on the CRL that the certificate names, as openssl reads it', async (t) => {
  const { items } = (await pkiJson('list-certificates', '--service', 'argus', '--state', 'revoked')) as {
    items: { serial_number: string; issuing_ca_id: string }[]
  }
  const [one] = items
  t.ok(one, 'the certificate is listed as revoked')
  succeeded(await pki('crl', 'regenerate', one?.issuing_ca_id ?? ''))
  const base = `http://127.0.0.1:${control.ports.public}`
  const issuerFile = join(mesh.folder, 'issuer.der')
  const crlFile = join(mesh.folder, 'services.crl')
  for (const [file, path] of [
    [issuerFile, `/ca/${one?.issuing_ca_id}.cer`],
    [crlFile, `/crl/${one?.issuing_ca_id}/0.crl`],
  ] as const) {
    const answer = await fetch(base + path)
    t.equal(answer.status, 200)
    await writeFile(file, Buffer.from(await answer.arrayBuffer()))
  }
  const issuerPem = join(mesh.folder, 'issuer.pem')
  await run('openssl', ['x509', '-inform', 'DER', '-in', issuerFile, '-out', issuerPem])
  const shown = await run('openssl', ['crl', '-inform', 'DER', '-in', crlFile, '-noout', '-text', '-CAfile', issuerPem])
  t.match(shown.stderr, /verify OK/)
  t.ok(shown.stdout.includes(`Serial Number: ${one?.serial_number.toUpperCase()}`))
  t.match(shown.stdout, /Key Compromise/)
})

await t.test('all of it is in the audit chain', async (t) => {
  await control.process().stop()
  const verified = await control.control('audit', 'verify')
  t.equal(verified.code, 0, verified.stderr)
})
