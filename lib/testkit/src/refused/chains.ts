import {
  assertedClass,
  decodeCertificate,
  extension,
  OID,
  uriIdentityOf,
  type VerifiedPath,
  validateChain,
} from '@vcc/x509'
import { AT, casesOf, type Forged, type ForgeSpec, forgeCa, forgeLeaf } from './forge.ts'

const CLASSES = ['1.2.1', '1.2.2']
const root = forgeCa()
const usages = { extKeyUsage: extension.encodeExtKeyUsage([OID.serverAuth, OID.clientAuth], false) }
const ca = forgeCa({ issuer: root, slots: { ...usages, ...policies('1.2.1', '1.2.2') } })

function policies(...oids: string[]): ForgeSpec['slots'] & object {
  return { policies: extension.encodeCertificatePolicies(oids) }
}

function uris(...values: string[]): ForgeSpec['slots'] & object {
  return {
    altNames: extension.encodeSubjectAltName(
      values.map((value) => ({ type: 'uri', value })),
      false,
    ),
  }
}

const chain = (...certificates: Forged[]): VerifiedPath =>
  validateChain(
    certificates.map(({ der }) => der),
    { anchors: [decodeCertificate(root.der)], at: AT, eku: OID.clientAuth },
  )
const leaf = (slots: ForgeSpec['slots'] = {}): Forged => forgeLeaf({ issuer: ca, slots: { ...slots } })
const classOf = (slots: ForgeSpec['slots'], above = ca): string =>
  assertedClass(chain(forgeLeaf({ issuer: above, slots: { ...slots } }), above), CLASSES)

/** Chains of the mesh, in order and with a class and an identity. */
export const REFUSED_CHAINS = casesOf({
  chain_empty: () => chain(),
  chain_surplus: () => chain(leaf(), ca, root, root),
  chain_names_broken: () => chain(leaf(), forgeCa({ issuer: root, name: 'Other' })),
  class_missing: () => classOf({}),
  class_ambiguous: () => classOf(policies('1.2.1', '1.2.2')),
  class_not_granted: () =>
    classOf(policies('1.2.1'), forgeCa({ issuer: root, name: 'Narrow', slots: { ...usages, ...policies('1.2.2') } })),
  uri_san_missing: () => uriIdentityOf(chain(leaf(), ca).leaf),
  uri_san_multiple: () => uriIdentityOf(chain(leaf(uris('spiffe://a/b', 'spiffe://a/c')), ca).leaf),
})

export const ACCEPTED_CHAINS = {
  'a chain of the mesh': () => chain(leaf(), ca),
  'its class': () => classOf(policies('1.2.1')),
}
