import type { LeafSpec, TestCredential } from '@vcc/testkit'
import { credential, secondsAfter, testInstance, testPki } from '@vcc/testkit'
import { classOid, DEFAULT_OID_ARC, ekuOid, OID } from '@vcc/x509'
import t from 'tap'
import { openIssuers } from '../harness/issuers.ts'
import { startMesh } from '../harness/mesh.ts'
import { greet, startImpostor } from '../harness/peer.ts'
import { eventually } from '../harness/process.ts'
import { events, metric } from '../harness/tables.ts'

await using mesh = await startMesh({ services: { argus: ['covina'], covina: [] } })
const covina = mesh.agent('covina')
const argus = mesh.agent('argus')
const issuers = await openIssuers(mesh.control)
const foreign = testPki()

const CLASS = (number: number) => classOid(DEFAULT_OID_ARC, number)
const SPIFFE = 'spiffe://vcc.internal/org/brandenburg/svc'
const [MTLS, CORE, UI] = [CLASS(1), CLASS(2), CLASS(5)]

/** What argus' own certificate says, and whatever is to be wrong with it. */
function argusLeaf(wrong: Partial<LeafSpec> = {}): Partial<LeafSpec> {
  return {
    commonName: testInstance(),
    uris: [`${SPIFFE}/argus`],
    dnsNames: ['argus.brandenburg.vcc.internal', 'argus.vcc.internal'],
    policies: [MTLS],
    ...wrong,
  }
}

interface Case {
  readonly name: string
  readonly shown: TestCredential | undefined
  readonly code: string
  readonly rule?: string
}

const { services, admin, control, root } = issuers
const now = new Date()
const forged = (wrong: Partial<LeafSpec>) => services.leaf(argusLeaf(wrong))
const withoutChain = (one: TestCredential): TestCredential => ({ ...one, chainPem: one.certPem })
const outsider = await forged({})
const further = await root.authority('services-ca', 'Another Services CA', [MTLS])

const cases: readonly Case[] = [
  { name: 'no certificate', shown: undefined, code: 'certificate_missing' },
  { name: 'a root nobody trusts', shown: foreign.service('argus'), code: 'issuer_unknown' },
  { name: 'an issuing CA left out', shown: withoutChain(outsider), code: 'issuer_unknown' },
  { name: 'a broken signature', shown: brokenSignature(outsider), code: 'certificate_signature_invalid' },
  {
    name: 'an expired certificate',
    shown: await forged({ notBefore: secondsAfter(now, -7200), notAfter: secondsAfter(now, -3600) }),
    code: 'certificate_expired',
  },
  {
    name: 'a certificate of tomorrow',
    shown: await forged({ notBefore: secondsAfter(now, 86_400), notAfter: secondsAfter(now, 172_800) }),
    code: 'certificate_not_yet_valid',
  },
  { name: 'a CA as a leaf', shown: further, code: 'leaf_is_a_ca' },
  {
    name: 'a leaf that calls itself a CA',
    shown: await forged({ isCa: true, keyUsage: ['digitalSignature', 'keyCertSign'] }),
    code: 'leaf_is_a_ca',
  },
  {
    name: 'a certificate for servers only',
    shown: await forged({ extKeyUsage: [OID.serverAuth] }),
    code: 'eku_missing',
  },
  { name: 'no extended key usage', shown: await forged({ extKeyUsage: [] }), code: 'eku_missing' },
  {
    name: 'a usage its CA does not hold',
    shown: await forged({ extKeyUsage: [OID.clientAuth, ekuOid(DEFAULT_OID_ARC, 'state')] }),
    code: 'eku_not_granted',
  },
  {
    name: 'two URI names',
    shown: await forged({ uris: [`${SPIFFE}/argus`, `${SPIFFE}/veritas`] }),
    code: 'uri_san_multiple',
  },
  { name: 'no URI name', shown: await forged({ uris: [] }), code: 'uri_san_missing' },
  {
    name: 'a URI that prints like two',
    shown: await forged({ uris: [`${SPIFFE}/argus, URI:${SPIFFE}/veritas`] }),
    code: 'spiffe_id_invalid',
  },
  {
    name: 'a URI of another kind',
    shown: await forged({ uris: ['https://vcc.internal/argus'] }),
    code: 'spiffe_id_invalid',
  },
  {
    name: 'another trust domain',
    shown: await forged({ uris: ['spiffe://elsewhere.example/org/brandenburg/svc/argus'] }),
    code: 'name_not_permitted',
  },
  {
    name: 'an address among its names',
    shown: await forged({ addresses: [Uint8Array.of(127, 0, 0, 1)] }),
    code: 'name_excluded',
  },
  {
    name: 'another organisation',
    shown: await forged({
      uris: ['spiffe://vcc.internal/org/sachsen/svc/argus'],
      dnsNames: ['argus.sachsen.vcc.internal'],
    }),
    code: 'issuer_org_not_vouched',
  },
  {
    name: 'a CA under the root that may not vouch for services',
    shown: foreignLeaf(further),
    code: 'issuer_not_in_table',
  },
  {
    name: 'the Admin CA as issuer of a service',
    shown: await admin.leaf(argusLeaf({ extKeyUsage: [OID.clientAuth] })),
    code: 'issuer_not_in_table',
  },
  {
    name: 'an administrator',
    shown: await admin.leaf({
      commonName: 'admin',
      uris: ['spiffe://vcc.internal/admin/admin'],
      extKeyUsage: [OID.clientAuth],
    }),
    code: 'spiffe_id_invalid',
  },
  {
    name: 'the control plane',
    shown: await control.leaf({
      commonName: 'control',
      uris: ['spiffe://vcc.internal/control'],
      extKeyUsage: [OID.serverAuth, OID.clientAuth, ekuOid(DEFAULT_OID_ARC, 'api')],
    }),
    code: 'spiffe_id_invalid',
  },
  {
    name: 'a signer of state',
    shown: await control.leaf({
      commonName: 'state signer 9',
      extKeyUsage: [ekuOid(DEFAULT_OID_ARC, 'state')],
      ekuCritical: true,
    }),
    code: 'eku_missing',
  },
  { name: 'no class', shown: await forged({ policies: [] }), code: 'class_missing' },
  { name: 'two classes', shown: await forged({ policies: [MTLS, CORE] }), code: 'class_ambiguous' },
  { name: 'a class nobody grants', shown: await forged({ policies: [CLASS(99)] }), code: 'class_missing' },
  {
    name: 'the class of another service',
    shown: await forged({ policies: [UI] }),
    code: 'source_class_mismatch',
    rule: 'argus.required_auth',
  },
  { name: 'a name that is no instance', shown: await forged({ commonName: 'argus' }), code: 'instance_invalid' },
  {
    name: 'a service outside the matrix',
    shown: await forged({ uris: [`${SPIFFE}/phantom`], dnsNames: ['phantom.vcc.internal'] }),
    code: 'not_allowed',
    rule: 'default-deny',
  },
]

await t.test('gate-15 a certificate of the mesh is welcome at the inbound port', async (t) => {
  const greeting = await eventually('covina has its state', async () => {
    const one = await greet(covina.inboundPort, outsider)
    return one.said === 'OK' ? one : undefined
  })
  t.equal(greeting.protocol, 'TLSv1.3')
})

await t.test('gate-15 forged peers are refused at the inbound port, each with its own reason', async (t) => {
  for (const { name, shown, code, rule = 'identity' } of cases) {
    const count = async () =>
      metric(await covina.metrics(), 'vcc_agent_handshakes_total', { direction: 'inbound', result: code })
    const before = await count()
    const greeting = await greet(covina.inboundPort, shown)
    t.match(greeting, { said: code, rule, protocol: 'TLSv1.3' }, `${name}: ${code}`)
    const record = await eventually(`${name} is in the access log`, () =>
      events(covina.process().output(), 'access').find((one) => one['connection'] === greeting.connection),
    )
    t.match(record, { result: 'refused', code, rule, direction: 'inbound' }, `${name}: in the access log`)
    t.equal(await count(), before + 1, `${name}: in the metrics`)
  }
})

await t.test('gate-15 a good certificate without an edge is refused by the matrix', async (t) => {
  const veritas = await services.leaf({
    commonName: testInstance(),
    uris: [`${SPIFFE}/veritas`],
    dnsNames: ['veritas.vcc.internal'],
    policies: [CLASS(4)],
  })
  t.match(await greet(argus.inboundPort, veritas), { said: 'not_allowed', rule: 'default-deny' })
})

const SAYS_OK = { first: Buffer.from('OK') }

/** What covina's own certificate says, and whatever is to be wrong with it. */
function covinaLeaf(wrong: Partial<LeafSpec> = {}): Partial<LeafSpec> {
  return argusLeaf({
    uris: [`${SPIFFE}/covina`],
    dnsNames: ['covina.brandenburg.vcc.internal', 'covina.vcc.internal'],
    policies: [CORE],
    ...wrong,
  })
}

const impostors: readonly {
  readonly name: string
  readonly shown: TestCredential
  readonly tls?: Parameters<typeof startImpostor>[2]
  readonly code: string
  readonly side?: string
}[] = [
  { name: 'another service', shown: await services.leaf(argusLeaf()), code: 'peer_not_expected' },
  { name: 'a root nobody trusts', shown: foreign.service('covina', { class: 2 }), code: 'issuer_unknown' },
  {
    name: 'an expired certificate',
    shown: await services.leaf(covinaLeaf({ notBefore: secondsAfter(now, -7200), notAfter: secondsAfter(now, -3600) })),
    code: 'certificate_expired',
  },
  {
    name: 'a certificate for clients only',
    shown: await services.leaf(covinaLeaf({ extKeyUsage: [OID.clientAuth] })),
    code: 'eku_missing',
  },
  {
    name: 'two URI names, the right one first',
    shown: await services.leaf(covinaLeaf({ uris: [`${SPIFFE}/covina`, `${SPIFFE}/argus`] })),
    code: 'uri_san_multiple',
  },
  {
    name: 'the class of another service',
    shown: await services.leaf(covinaLeaf({ policies: [UI] })),
    code: 'target_class_mismatch',
  },
  {
    name: 'a CA that may not vouch for services',
    shown: foreign.service('covina', { class: 2 }, await root.authority('services-ca', 'A third CA', [CORE])),
    code: 'issuer_not_in_table',
  },
  {
    name: 'no protocol of ours',
    shown: await services.leaf(covinaLeaf()),
    tls: { ALPNProtocols: [] },
    code: 'protocol_not_spoken',
  },
  {
    name: 'TLS 1.2 at most',
    shown: await services.leaf(covinaLeaf()),
    tls: { maxVersion: 'TLSv1.2' },
    code: 'upstream_failed',
  },
  {
    name: 'an answer that is none',
    shown: await services.leaf(covinaLeaf()),
    tls: { first: Buffer.from('HTTP/1.1 200 OK\r\n\r\n') },
    code: 'upstream_answer_invalid',
  },
]

await t.test(
  'gate-15 impostors at the place of covina get nothing of the caller’s, each refused with its own reason',
  async (t) => {
    await covina.process().stop()
    for (const { name, shown, tls, code } of impostors) {
      await using impostor = await startImpostor(covina.inboundPort, shown, { ...SAYS_OK, ...tls })
      const answer = await fetch(`${argus.url('covina')}/secret`, { method: 'POST', body: 'secret of argus' })
      const problem = (await answer.json()) as Record<string, unknown>
      t.match(problem, { code, side: 'caller' }, `${name}: ${code}`)
      t.equal(impostor.heard().length, 0, `${name}: hears nothing`)
      await eventually(`${name} is in the access log`, () =>
        events(argus.process().output(), 'access').some(
          (one) => one['code'] === code && one['direction'] === 'outbound',
        ),
      )
    }
    await covina.restart()
    await eventually('the real covina is reached again', async () => (await fetch(argus.url('covina'))).status === 200)
  },
)

/** The last octet belongs to `s` of the signature; any change of it is another number. */
function brokenSignature(good: TestCredential): TestCredential {
  const certDer = Uint8Array.from(good.certDer)
  certDer[certDer.length - 1] = (certDer.at(-1) ?? 0) ^ 1
  return credential(certDer, good.signer, good.chainDer.slice(1))
}

function foreignLeaf(ca: TestCredential): TestCredential {
  return foreign.service('argus', {}, ca)
}
