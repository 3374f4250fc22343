import { compactVerify } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { canonicalJson } from './canonical.ts'
import { BASE64, newPki, type Pki } from './fixture.ts'
import { jwsSigner, signJws } from './jws.ts'
import {
  isStateSigner,
  replacedTrust,
  signTrustStatement,
  stateSigningEku,
  type TrustStatement,
  verifyTrustStatement,
} from './trust.ts'

const code = (expected: string) => expect.objectContaining({ name: 'MeshError', code: expected })
const hex = (digit: string) => digit.repeat(64)
let pki: Pki
let rsa: Pki
let other: Pki

beforeAll(async () => {
  ;[pki, rsa, other] = await Promise.all([
    newPki(),
    newPki({ root: 'RSA-3072' }),
    newPki({ trustDomain: 'other.internal' }),
  ])
})

test('a statement under a P-384 root and one under an RSA root verify, here and with jose', async () => {
  for (const [made, alg] of [
    [pki, 'ES384'],
    [rsa, 'PS384'],
  ] as const) {
    expect(verifyTrustStatement(made.trustJws, made.root.certificate)).toEqual(made.trust)
    const { payload, protectedHeader } = await compactVerify(made.trustJws, made.root.certificate.publicKey.keyObject)
    expect(protectedHeader).toEqual({ alg, typ: 'vcc-trust+jws' })
    expect(Buffer.from(payload).toString()).toBe(canonicalJson(made.trust))
  }
})

/** Signed by the real root, so that only the content is at fault. */
const malformed: readonly { name: string; change: (trust: TrustStatement) => unknown; fails?: string }[] = [
  { name: 'a version of zero', change: (t) => ({ ...t, version: 0 }) },
  { name: 'a version that is no integer', change: (t) => ({ ...t, version: 1.5 }) },
  { name: 'an unknown member', change: (t) => ({ ...t, note: 'hi' }) },
  { name: 'no retired list', change: (t) => ({ ...t, retired: undefined }) },
  { name: 'a trust domain in capitals', change: (t) => ({ ...t, trustDomain: 'VCC.internal' }) },
  { name: 'an arc that is no OID', change: (t) => ({ ...t, oidArc: '1.3.6.1.4.1.055' }) },
  { name: 'a third signer', change: (t) => ({ ...t, stateSigners: { ...t.stateSigners, third: hex('3') } }) },
  { name: 'no spare signer', change: (t) => ({ ...t, stateSigners: { active: t.stateSigners.active } }) },
  {
    name: 'one key as active and spare',
    change: (t) => ({ ...t, stateSigners: { active: hex('1'), spare: hex('1') } }),
  },
  { name: 'a retired active signer', change: (t) => ({ ...t, retired: [t.stateSigners.active] }) },
  { name: 'a retired spare signer', change: (t) => ({ ...t, retired: [t.stateSigners.spare] }) },
  { name: 'a key retired twice', change: (t) => ({ ...t, retired: [hex('1'), hex('1')] }) },
  { name: 'a key in capitals', change: (t) => ({ ...t, retired: [hex('A')] }) },
  { name: 'an anchor that is no certificate', change: (t) => ({ ...t, anchors: { ...t.anchors, artifact: 'AAAA' } }) },
  { name: 'an anchor in loose base64', change: (t) => ({ ...t, anchors: { ...t.anchors, evidence: 'AAB=' } }) },
  { name: 'a fourth anchor', change: (t) => ({ ...t, anchors: { ...t.anchors, extra: t.anchors.mesh } }) },
  {
    name: 'another mesh root',
    change: (t) => ({ ...t, anchors: { ...t.anchors, mesh: t.anchors.artifact } }),
    fails: 'trust_foreign',
  },
  { name: 'a list', change: (t) => [t] },
]

test.each(malformed)('refused: $name', async ({ change, fails = 'trust_malformed' }) => {
  const jws = await signJws(pki.rootSigner, 'vcc-trust+jws', change(pki.trust))
  expect(() => verifyTrustStatement(jws, pki.root.certificate)).toThrow(code(fails))
})

test('refused: signed by another root, by a state signer, by an issuing CA', async () => {
  const root = pki.root.certificate
  expect(() => verifyTrustStatement(other.trustJws, root)).toThrow(code('trust_signature_invalid'))
  for (const party of [pki.active, pki.controlCa]) {
    const jws = await signJws(jwsSigner(party.key, []), 'vcc-trust+jws', pki.trust)
    expect(() => verifyTrustStatement(jws, root)).toThrow(code('jws_algorithm_refused'))
    expect(() => verifyTrustStatement(jws, party.certificate)).toThrow(code('jws_algorithm_refused'))
  }
})

test('refused: RSA algorithm under a P-384 root', () => {
  expect(() => verifyTrustStatement(rsa.trustJws, pki.root.certificate)).toThrow(code('jws_key_mismatch'))
})

test('refused: duplicate member, white space', async () => {
  for (const text of [
    canonicalJson(pki.trust).replace('{', '{"version":9,'),
    JSON.stringify(pki.trust, undefined, 1),
  ]) {
    const [header] = pki.trustJws.split('.')
    const input = `${header}.${Buffer.from(text).toString('base64url')}`
    const signature = Buffer.from(await pki.rootSigner.sign(Buffer.from(input))).toString('base64url')
    expect(() => verifyTrustStatement(`${input}.${signature}`, pki.root.certificate)).toThrow(code('trust_malformed'))
  }
})

test('signing refuses what verifying would refuse', async () => {
  const foreign = { ...pki.trust, anchors: { ...pki.trust.anchors, mesh: pki.trust.anchors.artifact } }
  await expect(signTrustStatement(foreign, pki.rootSigner)).rejects.toThrow(code('trust_foreign'))
  await expect(
    signTrustStatement({ ...pki.trust, retired: [pki.trust.stateSigners.active] }, pki.rootSigner),
  ).rejects.toThrow(code('trust_malformed'))
  await expect(signTrustStatement(pki.trust, jwsSigner(pki.active.key, []))).rejects.toThrow(TypeError)
})

const next = (change: Partial<TrustStatement>): TrustStatement => ({ ...pki.trust, version: 2, ...change })

test('the same statement changes nothing, a higher version replaces', () => {
  expect(replacedTrust(pki.trust, { ...pki.trust })).toBe(pki.trust)
  const second = next({
    stateSigners: { active: pki.trust.stateSigners.spare, spare: hex('9') },
    retired: [pki.trust.stateSigners.active],
  })
  expect(replacedTrust(pki.trust, second)).toBe(second)
  const third = { ...second, version: 7, retired: [...second.retired, hex('8')] }
  expect(replacedTrust(second, third)).toBe(third)
})

test('a statement is not replaced by an older, a conflicting, a foreign or a forgetful one', () => {
  const held = next({ retired: [hex('7')] })
  const cases: readonly [TrustStatement, string][] = [
    [pki.trust, 'trust_stale'],
    [{ ...held, retired: [hex('7'), hex('6')] }, 'trust_conflict'],
    [{ ...held, version: 3, trustDomain: 'other.internal' }, 'trust_foreign'],
    [{ ...held, version: 3, retired: [] }, 'trust_retired_dropped'],
    [{ ...held, version: 3, retired: [hex('6')] }, 'trust_retired_dropped'],
  ]
  for (const [statement, fails] of cases) expect(() => replacedTrust(held, statement)).toThrow(code(fails))
})

test('state is signed by the active and the spare key, and by no other', () => {
  expect(stateSigningEku(pki.trust)).toBe('1.3.6.1.4.1.55555.3.1')
  expect(isStateSigner(pki.trust, pki.active.certificate.publicKey.spkiSha256Hex)).toBe(true)
  expect(isStateSigner(pki.trust, pki.spare.certificate.publicKey.spkiSha256Hex)).toBe(true)
  expect(isStateSigner(pki.trust, pki.agent.certificate.publicKey.spkiSha256Hex)).toBe(false)
  expect(BASE64(pki.root.certificate.der)).toBe(pki.trust.anchors.mesh)
})
