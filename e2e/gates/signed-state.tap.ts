import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type FleetDocument, fleetDelta, type ReplyTarget, signReply } from '@vcc/mesh'
import { secondsAfter, type TestCredential, testPki } from '@vcc/testkit'
import { classOid, DEFAULT_OID_ARC } from '@vcc/x509'
import t from 'tap'
import { eventually } from '../harness/process.ts'
import { heldDocument, openStateForge, payloadOf } from '../harness/state-forge.ts'
import { events, metric } from '../harness/tables.ts'
import { instanceOf, startForgedMesh } from './forged-mesh.ts'

const ARGUS = 'spiffe://vcc.internal/org/brandenburg/svc/argus'
const DENIAL = { id: 'gate-13', until: null, kind: 'identity', value: ARGUS } as const

await using forged = await startForgedMesh({ services: { argus: ['covina'], covina: [] } })
const { mesh, issuers } = forged
const argus = mesh.agent('argus')
const covina = mesh.agent('covina')
const works = async () => (await fetch(argus.url('covina'))).status === 200
await eventually('argus reaches covina', works)

interface Status {
  readonly warnings: string[]
  readonly state: { readonly fleet: string; readonly agent: string }
  readonly identity: { readonly serial: string; readonly last_failure: string | null }
  readonly listener: { readonly served_serial: string }
}
/** Also of an agent that is not healthy, with which the command ends in an error. */
const status = async () => JSON.parse((await covina.cli('status', '--format', 'json')).stdout) as Status
const refusals = async (code: string) => metric(await covina.metrics(), 'vcc_agent_state_refused_total', { code })
const held = async () => [await heldDocument(covina, 'fleet'), await heldDocument(covina, 'agent')]

const early = { fleet: await heldDocument(covina, 'fleet'), agent: await heldDocument(covina, 'agent') }
const foreign = await heldDocument(argus, 'agent')
forged.takeOver()
const forge = await openStateForge(issuers, covina)
const { policy } = forge.agentContent()
const hourAgo = new Date(Date.now() - 3_600_000)

/** Publishes the next document of each kind and waits until both are in force. */
async function advance(): Promise<{ fleet: string; agent: string }> {
  const next = { fleet: await forge.fleet({}), agent: await forge.agent({}) }
  forged.publish({ fleet: next.fleet })
  await forged.publishTo(covina, { state: next.agent })
  const names = { fleet: nameOf(next.fleet), agent: nameOf(next.agent) }
  await eventually('covina works by them', async () => {
    const { state } = await status()
    return state.fleet === names.fleet && state.agent === names.agent
  })
  return next
}

await t.test('gate-13 replayed, rolled back, foreign and expired state is refused, each by its code', async (t) => {
  const first = await advance()
  const current = await advance()
  const { generation, epoch } = payloadOf(current.agent) as FleetDocument
  const other = { mode: 'tcp' } as const
  const before = payloadOf(first.fleet) as FleetDocument
  const delta = async (from: number) => {
    const base = { generation: from, content: before.content }
    const input = {
      trustDomain: before.trustDomain,
      epoch,
      generation: 2_000_000,
      content: { ...before.content, denials: [DENIAL] },
    }
    return (
      await fleetDelta(base, input, { acceptSeconds: 600, enforceSeconds: 3600 }, forge.signer, { now: new Date() })
    ).jws
  }
  const cases: readonly {
    name: string
    message: { fleet?: string; delta?: string; state?: string; refresh?: string }
    code: string
  }[] = [
    { name: 'the state of an hour ago, replayed', message: { state: early.agent }, code: 'state_stale' },
    { name: 'the one before, replayed', message: { state: first.agent }, code: 'state_stale' },
    { name: 'the fleet of before, replayed', message: { fleet: first.fleet }, code: 'state_stale' },
    { name: 'the fleet of the start, replayed', message: { fleet: early.fleet }, code: 'state_stale' },
    {
      name: 'a refresh of a generation before',
      message: { refresh: await forge.refresh({ generation: generation - 1 }) },
      code: 'state_stale',
    },
    { name: 'the state of another instance', message: { state: foreign }, code: 'state_foreign' },
    { name: 'the fleet’s where an instance’s belongs', message: { state: current.fleet }, code: 'state_foreign' },
    { name: 'an instance’s where the fleet’s belongs', message: { fleet: current.agent }, code: 'state_foreign' },
    {
      name: 'state of another trust domain',
      message: { state: await forge.agent({}, { trustDomain: 'elsewhere.example' }) },
      code: 'state_foreign',
    },
    {
      name: 'a fleet of another trust domain',
      message: { fleet: await forge.fleet({}, { trustDomain: 'elsewhere.example' }) },
      code: 'state_foreign',
    },
    {
      name: 'state that was to be taken an hour ago',
      message: { state: await forge.agent({}, { signedAt: hourAgo }) },
      code: 'state_expired',
    },
    {
      name: 'a fleet that was to be taken an hour ago',
      message: { fleet: await forge.fleet({}, { signedAt: hourAgo }) },
      code: 'state_expired',
    },
    {
      name: 'state that was never to be taken',
      message: {
        state: await forge.agent({}, { signedAt: new Date(Date.now() - 5_000), lifetimes: { acceptSeconds: 0 } }),
      },
      code: 'state_expired',
    },
    {
      name: 'other content of the same generation',
      message: { state: await forge.agent(other, { generation }) },
      code: 'state_conflict',
    },
    {
      name: 'a refresh of what was missed',
      message: { refresh: await forge.refresh({ generation: generation + 50 }) },
      code: 'state_gap',
    },
    { name: 'a delta on another generation', message: { delta: await delta(generation - 50) }, code: 'state_gap' },
    {
      name: 'state with another payload',
      message: { state: graft(current.agent, first.agent) },
      code: 'state_signature_invalid',
    },
    {
      name: 'a fleet whose trust statement is none',
      message: { fleet: await forge.fleet({ trust: current.agent }, { generation: 3_000_000 }) },
      code: 'jws_type_refused',
    },
  ]
  const good = await held()
  for (const { name, message, code } of cases) {
    const counted = await refusals(code)
    forged.publish(message)
    await forged.publishTo(covina, message)
    await eventually(`${name} is refused as ${code}`, async () => (await refusals(code)) > counted)
    t.pass(`${name}: ${code}`)
  }
  t.same(await held(), good, 'covina holds what it held')
  t.ok(await works(), 'and works by it')
  t.ok(events(covina.process().output(), 'state_refused').length > 0, 'tampering is an alarm in the log')
  t.match((await status()).warnings.join('\n'), /signed state was refused \(/, 'and in the status')
})

await t.test('gate-13 a control plane that is rolled back does not take its agents with it', async (t) => {
  const { state } = await status()
  await covina.restart() // which asks the real control plane, whose state is a million generations behind
  await eventually('the old state is refused', async () => (await refusals('state_stale')) > 0)
  t.match((await status()).state, state)
  t.ok(await works())
})

await t.test('gate-09 a policy that cannot be read leaves the last good one in force, and alerts', async (t) => {
  const broken = await forge.agent({ policy: { format: 99 } })
  await forged.publishTo(covina, { state: broken })
  const event = await eventually('covina says so', () => events(covina.process().output(), 'state_not_applied').at(-1))
  t.match(event, { level: 'error', code: 'compiled_format_unknown' }, 'in the log')
  t.ok((await refusals('compiled_format_unknown')) > 0, 'in the metrics')
  const { warnings, state } = await status()
  t.match(
    warnings.join('\n'),
    /cannot be put in force \(compiled_format_unknown\); \d+\.\d+ is instead/,
    'in the status',
  )
  t.not(state.agent, nameOf(broken))
  t.match((await covina.cli('status')).stdout, /NOT HEALTHY/)
  t.ok(await works(), 'calls go on')
})

const renewals = async (result: string) =>
  metric(await covina.metrics(), 'vcc_agent_certificate_renewals_total', { result })
const demand = async () => {
  await forged.publishTo(covina, {
    state: await forge.agent({ policy, certificateIssuedAfter: `${new Date().toISOString().slice(0, 19)}Z` }),
  })
}
/** What is told of a renewal that failed, by every way there is. */
async function toldOf(code: string) {
  await eventually(`covina says ${code}`, () =>
    events(covina.process().output(), 'certificate_not_renewed').find((one) => one['code'] === code),
  )
  const { warnings, identity, listener } = await status()
  return {
    isCounted: (await renewals(code)) > 0,
    lastFailure: identity.last_failure,
    isWarned: warnings.includes(`the last renewal failed: ${code}`),
    served: listener.served_serial,
    works: await works(),
  }
}
const told = (code: string, served: string) => ({
  isCounted: true,
  lastFailure: code,
  isWarned: true,
  served,
  works: true,
})

await t.test('gate-09 certificates that cannot be used leave the last good one in use, and alert', async (t) => {
  const { served_serial: served } = (await status()).listener
  const leaf = {
    commonName: await instanceOf(covina),
    uris: ['spiffe://vcc.internal/org/brandenburg/svc/covina'],
    dnsNames: ['covina.brandenburg.vcc.internal', 'covina.vcc.internal'],
    policies: [classOid(DEFAULT_OID_ARC, 2)],
  }
  const anHourAgo = { notBefore: secondsAfter(new Date(), -7200), notAfter: secondsAfter(new Date(), -3600) }
  const answers: readonly (readonly [string, TestCredential])[] = [
    ['key_mismatch', await issuers.services.leaf(leaf)],
    ['certificate_expired', await issuers.services.leaf({ ...leaf, ...anHourAgo })],
    ['issuer_unknown', testPki().service('covina', { class: 2 })],
  ]
  let asked = forged.hears(covina, 'renew')
  await demand()
  for (const [code, { chainDer }] of answers) {
    const { instance, correlation, nonce } = payloadOf(await asked) as ReplyTarget
    const body = {
      ok: true,
      kind: 'certificate',
      chain: chainDer.map((der) => Buffer.from(der).toString('base64')),
    } as const
    asked = forged.hears(covina, 'renew') // the next attempt
    const reply = await signReply({ instance, correlation, nonce }, body, 60, forge.signer, { now: new Date() })
    await forged.publishTo(covina, { reply })
    t.same(await toldOf(code), told(code, served), code)
  }
  // Nobody answers on the broker any more; the control plane does over HTTPS.
  await asked
  await eventually('covina serves a new certificate', async () => (await status()).listener.served_serial !== served)
  t.equal((await status()).identity.last_failure, null)
})

await t.test('gate-09 a pending key that is broken on the disk holds up no renewal', async (t) => {
  const { served_serial: served } = (await status()).listener
  const file = join(covina.stateFolder, 'pending-key.pem')
  await writeFile(file, '-----BEGIN PRIVATE KEY-----\nbroken\n', { mode: 0o600 })
  await demand()
  await eventually('covina serves a new certificate', async () => (await status()).listener.served_serial !== served)
  t.ok(await works())
})

/** Header and signature of one, payload of the other. */
function graft(signed: string, other: string): string {
  const [header, , signature] = signed.split('.')
  return [header, other.split('.')[1], signature].join('.')
}

function nameOf(jws: string): string {
  const { epoch, generation } = payloadOf(jws) as FleetDocument
  return `${epoch}.${generation}`
}
