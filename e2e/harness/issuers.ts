import type { Signer } from '@vcc/keys'
import { type JwsSigner, jwsSigner } from '@vcc/mesh'
import {
  credential,
  issueLeaf,
  type LeafSpec,
  secondsAfter,
  type TestCredential,
  testSerialHex,
  testSigner,
} from '@vcc/testkit'
import {
  assembleCertificate,
  buildTbs,
  decodeCertificate,
  decodePem,
  encodeName,
  encodeSigned,
  issuerOf,
  type MeshNameConstraints,
  type ProfileName,
} from '@vcc/x509'
import type { ControlPlane } from './control.ts'

/** A CA of a test's own installation. It signs whatever it is asked to, as a CA in the wrong hands would. */
export interface Issuer {
  readonly certPem: string
  /** A leaf that says what `spec` says, right or wrong. */
  readonly leaf: (spec: Partial<LeafSpec>) => Promise<TestCredential>
  /** A further CA below this one, whose key the test holds; for our names, unless it is told others. */
  readonly authority: (
    profile: ProfileName,
    name: string,
    classes?: readonly string[],
    names?: MeshNameConstraints,
  ) => Promise<TestCredential>
}

export interface Issuers {
  readonly root: Issuer
  readonly services: Issuer
  readonly admin: Issuer
  readonly control: Issuer
  /** The key that signs state, under the chain (DER, leaf first) it was certified with. */
  readonly stateSigner: (chainDer: readonly Uint8Array[]) => Promise<JwsSigner>
}

/** The CAs of the mesh with their keys: the test owns the installation, its key store and its secrets. */
export async function openIssuers(control: ControlPlane): Promise<Issuers> {
  const keys = await control.keys()
  const held = await keys.list()
  const { items } = (await control.pkiJson('authorities', 'list')) as { items: { ca_id: string; name: string }[] }
  const open = async (name: string): Promise<Issuer> => {
    const found = items.find((one) => one.name === name)
    if (found === undefined) throw new Error(`there is no CA ${name}`)
    const chain = (await control.pkiJson('authorities', 'chain', found.ca_id)) as { chain_pem: string }
    const chainDer = decodePem(chain.chain_pem, 'CERTIFICATE')
    const [der] = chainDer
    if (der === undefined) throw new Error(`${name} has no certificate`)
    const { spkiDer } = decodeCertificate(der).publicKey
    const key = held.find((one) => Buffer.compare(one.spkiDer, spkiDer) === 0)
    if (key === undefined) throw new Error(`the key of ${name} is not in the store`)
    return issuerOver(der, chainDer.slice(0, -1), await keys.open(key.keyId, key.purpose))
  }
  return {
    root: await open('mesh-root'),
    services: await open('services-ca'),
    admin: await open('admin-ca'),
    control: await open('control-ca'),
    async stateSigner(chainDer) {
      const { spkiSha256Hex } = decodeCertificate(chainDer[0] ?? new Uint8Array()).publicKey
      for (const { keyId, purpose } of held) {
        if (purpose !== 'state') continue
        const signer = await keys.open(keyId, 'state')
        if (signer.publicKey.spkiSha256Hex === spkiSha256Hex) return jwsSigner(signer, chainDer)
      }
      throw new Error('the key that signs state is not in the store')
    },
  }
}

/** @param above  Leaf of the chain first, the root left out; empty for the root itself. */
function issuerOver(der: Uint8Array, above: readonly Uint8Array[], signer: Signer): Issuer {
  // The test kit signs at once, our key store asynchronously: its signature is made first and put in its place after.
  const stand = credential(der, Object.assign(testSigner('issuing'), { algorithm: signer.algorithm }), above)
  return {
    certPem: stand.certPem,
    async leaf(spec) {
      const draft = issueLeaf(stand, new Date(), spec)
      const { tbsDer } = draft.certificate
      const signed = encodeSigned(tbsDer, signer.algorithm, await signer.sign(tbsDer))
      return credential(signed, draft.signer, above)
    },
    async authority(profile, name, classes, names = OUR_NAMES) {
      const own = testSigner('issuing')
      const now = new Date()
      const tbs = buildTbs({
        profile,
        serialHex: testSerialHex(),
        issuer: issuerOf(stand.certificate),
        subject: encodeName([{ type: 'CN', value: name }]),
        publicKey: own.publicKey,
        notBefore: secondsAfter(now, -300),
        notAfter: secondsAfter(now, 86_400),
        oidArc: '1.3.6.1.4.1.55555',
        nameConstraints: names,
        ...(classes === undefined ? {} : { classes }),
        crlUrl: 'http://pki.vcc.internal/crl/0',
        ocspUrl: 'http://pki.vcc.internal/ocsp',
        caIssuersUrl: 'http://pki.vcc.internal/ca',
      })
      return credential(assembleCertificate(tbs, signer.algorithm, await signer.sign(tbs.der)), own, above)
    },
  }
}

const OUR_NAMES = { permittedDns: ['vcc.internal', 'localhost'], permittedUriHosts: ['vcc.internal'] } as const
