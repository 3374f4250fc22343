import { decodeCrl, encodeAlgorithm, encodeName, encodeSigned, extension, OID } from '@vcc/x509'
import { testSigner } from '../key.ts'
import {
  casesOf,
  constructed,
  encodeDer,
  type Forged,
  FROM,
  forgeCa,
  forgeLeaf,
  integer,
  primitive,
  sequence,
  UNTIL,
} from './forge.ts'
import { ca, find, root } from './paths.ts'

const SERIAL = '4a0102030405060708090a0b0c0d0e0f10111213'
const leaf = forgeLeaf({ issuer: ca, serialHex: SERIAL })

interface CrlSpec {
  readonly version?: number
  readonly issuer?: Uint8Array
  readonly thisUpdate?: Date
  readonly nextUpdate?: Date | undefined
  readonly revoked?: boolean
  readonly number?: Uint8Array | undefined
  readonly signer?: ReturnType<typeof testSigner>
  readonly outerAlgorithm?: 'ecdsa-sha384'
}

/** The CRL of an issuer, right but for what `spec` says. */
function crl(by: Forged, spec: CrlSpec = {}): Uint8Array {
  const signer = spec.signer ?? by.signer
  const number = 'number' in spec ? spec.number : extension.encodeExtension(OID.crlNumber, false, integer(1))
  const nextUpdate = 'nextUpdate' in spec ? spec.nextUpdate : UNTIL
  const tbs = encodeDer(
    sequence(
      integer(spec.version ?? 1),
      encodeAlgorithm(signer.algorithm),
      spec.issuer ?? by.name.der,
      time(spec.thisUpdate ?? FROM),
      nextUpdate && time(nextUpdate),
      spec.revoked === true ? sequence(sequence(integer(Uint8Array.fromHex(SERIAL)), time(FROM))) : undefined,
      constructed(0xa0, sequence(extension.encodeAuthorityKeyId(by.signer.publicKey.subjectKeyId), number)),
    ),
  )
  return encodeSigned(tbs, spec.outerAlgorithm ?? signer.algorithm, signer.signNow(tbs))
}

const time = (instant: Date): Uint8Array =>
  primitive(0x17, Buffer.from(`${instant.toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`))
const withCrls = (...crls: Uint8Array[]): unknown => find(leaf, [ca], { crls: [crl(root), ...crls] })

/** Lists of revoked certificates, and what they say. */
export const REFUSED_CRLS = casesOf({
  crl_version: () => decodeCrl(crl(ca, { version: 0 })),
  crl_algorithm_mismatch: () => decodeCrl(crl(ca, { outerAlgorithm: 'ecdsa-sha384' })),
  crl_issuer_empty: () => decodeCrl(crl(ca, { issuer: encodeName([]).der })),
  crl_next_update_missing: () => decodeCrl(crl(ca, { nextUpdate: undefined })),
  crl_number_missing: () => decodeCrl(crl(ca, { number: undefined })),
  crl_not_yet_valid: () => withCrls(crl(ca, { thisUpdate: new Date('2026-07-01T00:00:00Z') })),
  crl_expired: () => withCrls(crl(ca, { nextUpdate: new Date('2026-05-01T00:00:00Z') })),
  crl_signer_unknown: () => signerOfAnotherRoot(),
  crl_signer_key_usage: () => signerWithoutUsage(),
  crl_signature_invalid: () => withCrls(crl(ca, { signer: testSigner('issuing') })),
  certificate_revoked: () => withCrls(crl(ca, { revoked: true })),
  revocation_unknown: () => withCrls(),
})

/** A CA of the same name below another root signed the list. */
function signerOfAnotherRoot(): unknown {
  const otherRoot = forgeCa({ name: 'Other Root' })
  const double = forgeCa({ issuer: otherRoot, name: ca.name })
  return find(leaf, [ca, double], { roots: [root, otherRoot], crls: [crl(root), crl(double)] })
}

function signerWithoutUsage(): unknown {
  const odd = forgeCa({ issuer: root, name: 'No CRLs', slots: { keyUsage: extension.encodeKeyUsage(['keyCertSign']) } })
  return find(forgeLeaf({ issuer: odd }), [odd], { crls: [crl(root), crl(odd)] })
}

export const ACCEPTED_CRLS = { 'a certificate that no list revokes': () => withCrls(crl(ca)) }
