import { parseWorkloadId } from '@vcc/policy'
import { type ServiceOptions, secondsAfter, testPki } from '@vcc/testkit'
import { classOid, DEFAULT_OID_ARC, OID } from '@vcc/x509'
import { expect, test } from 'vitest'
import { type IdentityRules, verifyIdentity } from './identity.ts'
import { parseAgentKey } from './key.ts'

const NOW = new Date('2026-11-23T12:00:00Z')
const pki = testPki({ now: NOW })
const INSTANCE = 'abcdefgh01234567'
const ARGUS = 'spiffe://vcc.internal/org/brandenburg/svc/argus'
const RULES: IdentityRules = {
  root: pki.root.certificate,
  oidArc: DEFAULT_OID_ARC,
  classOids: pki.classOids,
  expected: { instance: INSTANCE, workload: parseWorkloadId(ARGUS).id },
  now: NOW,
}

function verify(spec: ServiceOptions = {}, rules: Partial<IdentityRules> = {}, options = {}, service = 'argus') {
  const leaf = pki.service(service, { instance: INSTANCE, ...spec })
  const stored = { key: parseAgentKey(leaf.keyPem), chainDer: leaf.chainDer }
  return verifyIdentity(stored, { ...RULES, ...rules }, options)
}

test('a certificate as the control plane issues it', () => {
  expect(verify({ class: 2 })).toMatchObject({
    instance: INSTANCE,
    workload: ARGUS,
    organization: 'brandenburg',
    service: 'argus',
    classOid: classOid(DEFAULT_OID_ARC, 2),
  })
})

test('before the first state every class of the arc is known', () => {
  expect(verify({ class: 5 }, { classOids: undefined }).classOid).toBe(classOid(DEFAULT_OID_ARC, 5))
})

test('before the first certificate any instance and service is ours', () => {
  expect(verify({ instance: 'zzzzzzzzzzzzzzzz' }, { expected: undefined }, {}, 'clara').service).toBe('clara')
})

const at = (seconds: number) => secondsAfter(NOW, seconds)
const accepted: readonly {
  name: string
  spec?: ServiceOptions
  rules?: Partial<IdentityRules>
  options?: { acceptExpired: boolean }
}[] = [
  { name: 'a certificate that starts five minutes from now', spec: { notBefore: at(300) } },
  { name: 'a certificate that ended five minutes ago', rules: { now: at(7 * 86_400 + 300) } },
  { name: 'an expired one where that is said', rules: { now: at(20 * 86_400) }, options: { acceptExpired: true } },
]
for (const { name, spec, rules, options } of accepted) {
  test(`${name} passes`, () => expect(verify(spec, rules, options).instance).toBe(INSTANCE))
}

const ARGUS_URI = [ARGUS]
const refused: readonly {
  name: string
  reason: string
  spec?: ServiceOptions
  rules?: Partial<IdentityRules>
  service?: string
  options?: { acceptExpired: boolean }
}[] = [
  { name: 'expired by more than the tolerance', reason: 'certificate_expired', rules: { now: at(7 * 86_400 + 301) } },
  { name: 'of the future', reason: 'certificate_not_yet_valid', spec: { notBefore: at(301) } },
  {
    name: 'of the future where expired ones pass',
    reason: 'certificate_not_yet_valid',
    spec: { notBefore: at(301) },
    options: { acceptExpired: true },
  },
  { name: 'for another instance', reason: 'instance_changed', spec: { instance: 'abcdefgh01234568' } },
  { name: 'for another service', reason: 'identity_changed', service: 'covina' },
  { name: 'with an instance that is none', reason: 'instance_invalid', spec: { commonName: 'argus' } },
  { name: 'with two URIs', reason: 'uri_san_multiple', spec: { uris: [...ARGUS_URI, `${ARGUS}2`] } },
  { name: 'without a URI', reason: 'uri_san_missing', spec: { uris: [] } },
  { name: 'of the control plane', reason: 'workload_id_invalid', spec: { uris: ['spiffe://vcc.internal/control'] } },
  { name: 'for clients only', reason: 'eku_missing', spec: { extKeyUsage: [OID.clientAuth] } },
  { name: 'for servers only', reason: 'eku_missing', spec: { extKeyUsage: [OID.serverAuth] } },
  { name: 'without a class', reason: 'class_missing', spec: { policies: [] } },
  {
    name: 'of a class that the state does not know',
    reason: 'class_missing',
    rules: { classOids: [classOid(DEFAULT_OID_ARC, 3)] },
  },
  {
    name: 'of two classes',
    reason: 'class_ambiguous',
    spec: { policies: [classOid(DEFAULT_OID_ARC, 1), classOid(DEFAULT_OID_ARC, 2)] },
  },
  { name: 'that may sign certificates', reason: 'leaf_is_a_ca', spec: { isCa: true } },
  { name: 'under another root', reason: 'issuer_unknown', rules: { root: testPki({ now: NOW }).root.certificate } },
]
for (const { name, reason, spec, rules, service, options } of refused) {
  test(`a certificate ${name} is refused`, () => {
    expect(() => verify(spec, rules, options, service)).toThrow(
      expect.objectContaining({ code: 'identity_refused', reason }),
    )
  })
}

test('a certificate for another key is refused', () => {
  const stored = {
    key: parseAgentKey(pki.service('argus').keyPem),
    chainDer: pki.service('argus', { instance: INSTANCE }).chainDer,
  }
  expect(() => verifyIdentity(stored, RULES)).toThrow(expect.objectContaining({ reason: 'key_mismatch' }))
})
