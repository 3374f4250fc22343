import { classOid, OID } from '@vcc/x509'
import { credential, secondsAfter, type TestCredential } from './credential.ts'
import type { ServiceOptions, TestPki } from './pki.ts'

/** Ways in which the certificate of a service can be wrong. Each one is right in every other respect. */
const WRONG = {
  'two-uris': (pki, name, spec) =>
    pki.service(name, { ...spec, uris: [uriOf(pki, name), uriOf(pki, `${name}-other`)] }),
  'no-uri': (pki, name, spec) => pki.service(name, { ...spec, uris: [] }),
  'not-a-spiffe-uri': (pki, name, spec) => pki.service(name, { ...spec, uris: [`https://${pki.trustDomain}/${name}`] }),
  'foreign-trust-domain': (pki, name, spec) =>
    pki.service(name, { ...spec, uris: [`spiffe://elsewhere.example/org/${pki.organization}/svc/${name}`] }),
  'foreign-organization': (pki, name, spec) => pki.service(name, { ...spec, organization: 'sachsen' }),
  'no-class': (pki, name, spec) => pki.service(name, { ...spec, policies: [] }),
  'two-classes': (pki, name, spec) =>
    pki.service(name, { ...spec, policies: [classOid(pki.oidArc, 1), classOid(pki.oidArc, 2)] }),
  'class-not-granted': (pki, name, spec) => pki.service(name, { ...spec, policies: [classOid(pki.oidArc, 99)] }),
  expired: (pki, name, spec) =>
    pki.service(name, { ...spec, notBefore: secondsAfter(pki.now, -7200), notAfter: secondsAfter(pki.now, -3600) }),
  'not-yet-valid': (pki, name, spec) => pki.service(name, { ...spec, notBefore: secondsAfter(pki.now, 3600) }),
  /** Same names all the way up, another root key. */
  'unknown-ca': (pki, name, spec) => pki.service(name, spec, pki.servicesCaUnder(pki.foreignRoot())),
  /** Another CA of the same root, with the same rights in its certificate; only an issuer table can tell. */
  'issuer-not-in-table': (pki, name, spec) => pki.service(name, spec, pki.otherServicesCa),
  /** A partner's CA names one of ours. */
  'partner-for-ours': (pki, name, spec) => pki.service(name, spec, pki.partnerCa),
  'ca-as-leaf': (pki) => pki.servicesCa,
  'leaf-with-ca-bit': (pki, name, spec) =>
    pki.service(name, { ...spec, isCa: true, keyUsage: ['digitalSignature', 'keyCertSign'] }),
  'issued-by-a-leaf': (pki, name, spec) => pki.service(name, spec, pki.service(name)),
  'server-only': (pki, name, spec) => pki.service(name, { ...spec, extKeyUsage: [OID.serverAuth] }),
  'client-only': (pki, name, spec) => pki.service(name, { ...spec, extKeyUsage: [OID.clientAuth] }),
  /** Carries our usage for state, which the Services CA cannot grant. */
  'state-eku-from-services-ca': (pki, name, spec) =>
    pki.service(name, { ...spec, extKeyUsage: [OID.serverAuth, OID.clientAuth, `${pki.oidArc}.3.1`] }),
  'outside-dns-names': (pki, name, spec) => pki.service(name, { ...spec, dnsNames: [`${name}.elsewhere.example`] }),
  'with-an-address': (pki, name, spec) => pki.service(name, { ...spec, addresses: [new Uint8Array([127, 0, 0, 1])] }),
  /** The admin CA issues what only the Services CA may. */
  'from-admin-ca': (pki, name, spec) => pki.service(name, spec, pki.adminCa),
  'broken-signature': (pki, name, spec) => {
    const good = pki.service(name, spec)
    const certDer = new Uint8Array(good.certDer)
    // The last octet belongs to s; any change of it is another number, still below the order but for luck of 2^-256.
    certDer[certDer.length - 1] = (certDer[certDer.length - 1] ?? 0) ^ 1
    return credential(certDer, good.signer, good.chainDer.slice(1))
  },
  /** The certificate names a name that looks like two when printed: CVE-2021-44532. */
  'san-injection': (pki, name, spec) =>
    pki.service(name, { ...spec, uris: [`${uriOf(pki, name)}, URI:${uriOf(pki, 'argus')}`] }),
} as const satisfies Record<string, (pki: TestPki, name: string, spec: ServiceOptions) => TestCredential>

export type WrongLeaf = keyof typeof WRONG

export const WRONG_LEAVES = Object.keys(WRONG) as readonly WrongLeaf[]

/** A leaf for the service `name` that is wrong in one named way. */
export function wrongLeaf(pki: TestPki, wrong: WrongLeaf, name: string, spec: ServiceOptions = {}): TestCredential {
  return WRONG[wrong](pki, name, spec)
}

function uriOf(pki: TestPki, name: string): string {
  return `spiffe://${pki.trustDomain}/org/${pki.organization}/svc/${name}`
}
