import { type Certificate, decodeCertificate, ekuOid, X509Error } from '@vcc/x509'
import { type Static, Type } from 'typebox'
import { contentHash } from './canonical.ts'
import { MeshError } from './errors.ts'
import { decodeJws, type JwsSigner, signJws, verifyJws } from './jws.ts'
import { Base64Der, CLOSED, DomainName, Oid, Ordinal, parsePayload, parserOf, Sha256Hex } from './shapes.ts'

export const TrustStatement = Type.Object(
  {
    version: Ordinal,
    trustDomain: DomainName,
    oidArc: Oid,
    anchors: Type.Object({ mesh: Base64Der, artifact: Base64Der, evidence: Base64Der }, CLOSED),
    stateSigners: Type.Object({ active: Sha256Hex, spare: Sha256Hex }, CLOSED),
    retired: Type.Array(Sha256Hex, { maxItems: 256 }),
  },
  CLOSED,
)

/**
 * What the mesh root itself says: the anchors (base64 DER), and by which keys state is signed (SHA-256 of the
 * SPKI). `retired` are keys that will never sign state again. `anchors.mesh` is the signing root.
 */
export type TrustStatement = Static<typeof TrustStatement>

/**
 * Signs a statement with the mesh root key.
 * @throws {MeshError} `trust_malformed` when it contradicts itself or is not about the signing root
 * @throws {TypeError} when the key signs ES256: roots are RSA or P-384
 */
export async function signTrustStatement(statement: TrustStatement, root: JwsSigner): Promise<string> {
  if (root.alg === 'ES256') throw new TypeError('a trust statement is signed PS384 or ES384')
  const anchor = checked(parseStatement(statement))
  if (anchor.publicKey.spkiSha256Hex !== root.publicKey.spkiSha256Hex) {
    throw new MeshError('trust_foreign', 'the statement names another mesh root than the key that signs it')
  }
  return signJws(root, 'vcc-trust+jws', statement)
}

/**
 * Verifies a statement under the pinned mesh root. Judges nothing about time: a statement holds until a
 * higher version replaces it.
 *
 * @param root The mesh root whose fingerprint was compared at join.
 * @throws {MeshError} `jws_*`, `trust_signature_invalid`, `trust_malformed`, `trust_foreign`
 */
export function verifyTrustStatement(jws: string, root: Certificate): TrustStatement {
  const decoded = decodeJws(jws, 'vcc-trust+jws')
  if (decoded.alg === 'ES256')
    throw new MeshError('jws_algorithm_refused', 'a trust statement is signed PS384 or ES384')
  if (!verifyJws(decoded, root.publicKey)) {
    throw new MeshError('trust_signature_invalid', 'the trust statement is not signed by the mesh root')
  }
  const statement = parseStatement(parsePayload(decoded.payload, 'trust_malformed', 'trust statement'))
  checked(statement)
  if (statement.anchors.mesh !== Buffer.from(root.der).toString('base64')) {
    throw new MeshError('trust_foreign', 'the trust statement names another mesh root than the one that signed it')
  }
  return statement
}

/**
 * The statement in force after `next` was seen: `held` when it is the same, `next` when it may replace it.
 * A signer that was retired once stays retired, whoever signs the next statement.
 *
 * @throws {MeshError} `trust_foreign`, `trust_stale` (lower version), `trust_conflict` (same version, other
 *   content), `trust_retired_dropped`
 */
export function replacedTrust(held: TrustStatement, next: TrustStatement): TrustStatement {
  if (next.trustDomain !== held.trustDomain)
    throw new MeshError('trust_foreign', 'the statement is about another trust domain')
  if (next.version < held.version) {
    throw new MeshError('trust_stale', `trust statement ${next.version} is older than ${held.version}, which is held`)
  }
  if (next.version === held.version) {
    if (contentHash(next) === contentHash(held)) return held
    throw new MeshError('trust_conflict', `there are two trust statements of version ${held.version}`)
  }
  const lost = held.retired.find((spki) => !next.retired.includes(spki))
  if (lost !== undefined) throw new MeshError('trust_retired_dropped', `the new statement no longer retires ${lost}`)
  return next
}

/** Whether a key (SHA-256 of its SPKI, hex) may sign state under this statement. */
export function isStateSigner(trust: TrustStatement, spkiSha256: string): boolean {
  const { active, spare } = trust.stateSigners
  return (spkiSha256 === active || spkiSha256 === spare) && !trust.retired.includes(spkiSha256)
}

/** The EKU that a state signer's certificate carries. */
export function stateSigningEku(trust: TrustStatement): string {
  return ekuOid(trust.oidArc, 'state')
}

const parseStatement = parserOf(TrustStatement, 'trust_malformed', 'trust statement')

/** What a schema cannot say. @returns the mesh root it names */
function checked(statement: TrustStatement): Certificate {
  const { active, spare } = statement.stateSigners
  if (active === spare) throw new MeshError('trust_malformed', 'active and spare state signer are the same key')
  if (new Set(statement.retired).size !== statement.retired.length) {
    throw new MeshError('trust_malformed', 'a retired key is listed twice')
  }
  if (statement.retired.includes(active) || statement.retired.includes(spare)) {
    throw new MeshError('trust_malformed', 'a retired key cannot sign state')
  }
  const [mesh] = [statement.anchors.mesh, statement.anchors.artifact, statement.anchors.evidence].map(anchorOf)
  if (mesh === undefined) throw new MeshError('trust_malformed', 'no mesh root')
  return mesh
}

function anchorOf(base64: string): Certificate {
  const der = Buffer.from(base64, 'base64')
  if (der.toString('base64') !== base64) throw new MeshError('trust_malformed', 'an anchor is not strict base64')
  try {
    return decodeCertificate(der)
  } catch (cause) {
    if (cause instanceof X509Error) throw new MeshError('trust_malformed', 'an anchor is not a certificate', { cause })
    throw cause
  }
}
