import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { verifyJws } from '@vcc/mesh'
import {
  decodeForeignKey,
  decodePublicKey,
  type ForeignAlgorithm,
  type ForeignKeyKind,
  type PublicKey,
  verifyForeignSignature,
  X509Error,
  type X509Failure,
} from '@vcc/x509'
import { type Did, judge, type Outcome, type Suite } from './suite.ts'

/** C2SP/wycheproof: a folder of `…_test.json`, of which those about signatures of certificates and of signed state are run. */
export const wycheproof: Suite = {
  name: 'wycheproof',
  variable: 'WYCHEPROOF',
  place: 'wycheproof',
  run: (folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('_test.json'))
      .toSorted()
      .flatMap((name) => outcomesOf(name.slice(0, -'_test.json'.length), readFileSync(join(folder, name), 'utf8'))),
}

/** The part of the files' form that is read. */
interface VectorFile {
  readonly algorithm: string
  readonly testGroups: readonly Group[]
}

interface Group {
  readonly type: string
  readonly sha?: string
  readonly mgf?: string
  readonly mgfSha?: string
  readonly sLen?: number
  readonly publicKeyDer?: string
  readonly publicKeyAsn?: string
  readonly tests: readonly {
    readonly tcId: number
    readonly msg: string
    readonly sig: string
    readonly result: 'valid' | 'acceptable' | 'invalid'
  }[]
}

type Verify = (message: Uint8Array, signature: Uint8Array) => boolean

function outcomesOf(feature: string, text: string): Outcome[] {
  const { algorithm, testGroups } = JSON.parse(text) as VectorFile
  return testGroups.flatMap((group) => {
    const verify = verifierOf(algorithm, group)
    return group.tests.map(({ tcId, msg, sig, result }) => ({
      id: `${feature}#${tcId}`,
      feature,
      isPedantic: false,
      expected: result === 'valid' ? 'accept' : 'reject',
      did: result === 'acceptable' ? EITHER_WAY : didOf(verify, Uint8Array.fromHex(msg), Uint8Array.fromHex(sig)),
    }))
  })
}

const EITHER_WAY: Did = { is: 'skipped', why: 'the vector leaves it open' }

function didOf(verify: Verify | string, message: Uint8Array, signature: Uint8Array): Did {
  if (typeof verify === 'string') return { is: 'skipped', why: verify }
  return judge(() => {
    if (!verify(message, signature))
      throw new X509Error('certificate_signature_invalid', 'the signature does not verify')
  })
}

/** What checks the signatures of a group, or why nothing of ours does. */
function verifierOf(algorithm: string, group: Group): Verify | string {
  const spki = group.publicKeyDer ?? group.publicKeyAsn
  if (spki === undefined) return 'the vector has no SubjectPublicKeyInfo'
  const spkiDer = Uint8Array.fromHex(spki)
  const key = keyOf(spkiDer)
  if (typeof key === 'string') return key
  if (group.type === 'EcdsaP1363Verify') return jwsVerifier(decodePublicKey(spkiDer), group)
  const name = algorithmName(algorithm, group)
  if (name === undefined)
    return algorithm === 'RSASSA-PSS' ? OTHER_PSS : `${algorithm} with ${group.sha}: not used here`
  return (message, signature) => verifyForeignSignature(name, key, message, signature)
}

/** Plain r and s are how JWS signs (RFC 7518 §3.4); signed state is checked by lib/mesh. */
function jwsVerifier(publicKey: PublicKey, { sha }: Group): Verify | string {
  const alg = { 'SHA-256/P-256': 'ES256', 'SHA-384/P-384': 'ES384' } as const
  const { kind } = publicKey
  const pair = `${sha}/${kind.type === 'ec' ? kind.curve : kind.type}`
  if (!(pair in alg)) return `${pair} is no algorithm of signed state`
  const jws = {
    alg: alg[pair as keyof typeof alg],
    typ: 'vcc-state+jws',
    x5cDer: [],
    payload: new Uint8Array(),
  } as const // a key of `alg`, see above
  return (signingInput, signature) => verifyJws({ ...jws, signingInput, signature }, publicKey)
}

function keyOf(spkiDer: Uint8Array): PublicKey<ForeignKeyKind> | string {
  try {
    return decodeForeignKey(spkiDer)
  } catch (error) {
    if (error instanceof X509Error && NO_KEYS_OF_OURS.includes(error.code)) {
      return `a kind of key that is not used here (${error.code})`
    }
    throw error
  }
}

function algorithmName(algorithm: string, { type, sha, mgf, mgfSha, sLen }: Group): ForeignAlgorithm | undefined {
  if (type === 'EddsaVerify') return 'ed25519'
  const hash = HASHES[sha ?? '']
  if (hash === undefined) return undefined
  if (type === 'EcdsaVerify') return `ecdsa-${hash.name}`
  if (type === 'RsassaPkcs1Verify') return `rsa-pkcs1-${hash.name}`
  const isOurPss = algorithm === 'RSASSA-PSS' && mgf === 'MGF1' && mgfSha === sha && sLen === hash.octets
  return isOurPss ? `rsa-pss-${hash.name}` : undefined
}

/** Of other codes than these a vector may tell that our check of keys is wrong. */
const NO_KEYS_OF_OURS: readonly X509Failure[] = ['key_algorithm_refused', 'key_curve_refused', 'key_rsa_size']
const OTHER_PSS = 'RSASSA-PSS but with one hash of SHA-2 and a salt as long: refused when it is read'
const HASHES: Readonly<Record<string, { name: 'sha256' | 'sha384' | 'sha512'; octets: number }>> = {
  'SHA-256': { name: 'sha256', octets: 32 },
  'SHA-384': { name: 'sha384', octets: 48 },
  'SHA-512': { name: 'sha512', octets: 64 },
}
