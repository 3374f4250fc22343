import { assertedClass, OID, uriIdentityOf, validateChain, X509Error, type X509Failure } from '@vcc/x509'
import { expect, test } from 'vitest'
import { testPki } from './pki.ts'
import { WRONG_LEAVES, type WrongLeaf, wrongLeaf } from './wrong-leaf.ts'

const pki = testPki()

/** What x509 alone says; `undefined` marks what only an agent can tell, by its issuer table or its own trust domain. */
const SEEN: Record<WrongLeaf, X509Failure | undefined> = {
  'two-uris': 'uri_san_multiple',
  'no-uri': 'uri_san_missing',
  'not-a-spiffe-uri': undefined,
  'foreign-trust-domain': 'name_not_permitted',
  'foreign-organization': undefined,
  'no-class': 'class_missing',
  'two-classes': 'class_ambiguous',
  'class-not-granted': 'class_not_granted',
  expired: 'certificate_expired',
  'not-yet-valid': 'certificate_not_yet_valid',
  'unknown-ca': 'issuer_unknown',
  'issuer-not-in-table': undefined,
  'partner-for-ours': 'name_not_permitted',
  'ca-as-leaf': 'leaf_is_a_ca',
  'leaf-with-ca-bit': 'leaf_is_a_ca',
  'issued-by-a-leaf': 'issuer_not_a_ca',
  'server-only': 'eku_missing',
  'client-only': undefined,
  'state-eku-from-services-ca': 'eku_not_granted',
  'outside-dns-names': 'name_not_permitted',
  'with-an-address': 'name_excluded',
  'from-admin-ca': 'eku_not_granted',
  'broken-signature': 'certificate_signature_invalid',
  'san-injection': undefined,
}

function codeOf(chain: readonly Uint8Array[]): X509Failure | undefined {
  try {
    const path = validateChain(chain, { anchors: [pki.root.certificate], at: pki.now, eku: OID.clientAuth })
    uriIdentityOf(path.leaf)
    assertedClass(path, [...pki.classOids, `${pki.oidArc}.2.99`])
    return undefined
  } catch (error) {
    if (error instanceof X509Error) return error.code
    throw error
  }
}

test.each(WRONG_LEAVES)('%s is wrong in that way only', (wrong) => {
  expect(codeOf(wrongLeaf(pki, wrong, 'covina').chainDer)).toBe(SEEN[wrong])
})

test('a right leaf is right', () => {
  expect(codeOf(pki.service('covina').chainDer)).toBeUndefined()
  expect(codeOf(pki.partnerService('archive').chainDer)).toBeUndefined()
})

test('the leaves of the control plane carry their usages', () => {
  const usages = { api: pki.controlApi(), broker: pki.broker(), state: pki.stateSigner(), admin: pki.admin('a1') }
  const ekus = {
    api: `${pki.oidArc}.3.2`,
    broker: `${pki.oidArc}.3.3`,
    state: `${pki.oidArc}.3.1`,
    admin: OID.clientAuth,
  }
  for (const [name, { chainDer }] of Object.entries(usages)) {
    const eku = ekus[name as keyof typeof ekus]
    expect(() => validateChain(chainDer, { anchors: [pki.root.certificate], at: pki.now, eku })).not.toThrow()
  }
})
