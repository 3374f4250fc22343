import { decodeForeignCertificate, type ForeignCertificate } from '../certificate.ts'
import * as extension from '../extension/encode.ts'
import { OID } from '../oid.ts'
import { type Issuing, type MintSpec, mintDer, type Slots, type TestKey, testKey } from './mint.ts'

/** A certificate as somebody outside the mesh issues and reads it. */
export interface Foreign {
  readonly der: Uint8Array
  readonly key: TestKey
  readonly certificate: ForeignCertificate
}

/** A CA with what RFC 5280 §4 asks for; a root when it has no issuer. */
export function foreignCa(spec: MintSpec<Issuing> = {}): Foreign {
  return issue(spec.issuer === undefined ? 'Root' : 'CA', spec, {
    basicConstraints: extension.encodeBasicConstraints({ isCa: true }),
    keyUsage: extension.encodeKeyUsage(['keyCertSign', 'cRLSign']),
  })
}

/** A TLS server `server.example.com`. */
export function foreignLeaf(spec: MintSpec<Issuing> & { readonly issuer: Issuing }): Foreign {
  return issue('server.example.com', spec, {
    keyUsage: extension.encodeKeyUsage(['digitalSignature']),
    extKeyUsage: extension.encodeExtKeyUsage([OID.serverAuth], false),
    subjectAltName: dnsNames('server.example.com'),
  })
}

export function dnsNames(...names: string[]): Uint8Array {
  return extension.encodeSubjectAltName(
    names.map((value) => ({ type: 'dns', value })),
    false,
  )
}

/** The DER alone, for certificates that cannot be read. */
function foreignDer(name: string, spec: MintSpec<Issuing>, slots: Slots): { der: Uint8Array; key: TestKey } {
  const key = spec.key ?? testKey()
  const issuerKey = spec.issuer?.key ?? key
  return mintDer({
    name,
    ...spec,
    key,
    slots: {
      ...slots,
      subjectKeyId: extension.encodeSubjectKeyId(key.publicKey.subjectKeyId),
      authorityKeyId: extension.encodeAuthorityKeyId(issuerKey.publicKey.subjectKeyId),
      ...spec.slots,
    },
  })
}

function issue(name: string, spec: MintSpec<Issuing>, slots: Slots): Foreign {
  const { der, key } = foreignDer(name, spec, slots)
  return { der, key, certificate: decodeForeignCertificate(der) }
}
