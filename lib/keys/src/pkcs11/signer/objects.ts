import pkcs11js, { type Handle, type PKCS11, type Template } from 'pkcs11js'
import type { KeySpec } from '../../signer.ts'
import type { Protection, Request, TokenKey } from '../message.ts'
import { awaiting, calling, faultOf, returnValueOf, TokenFault } from './fault.ts'

/** Key objects of the token, as seen through one session. */
interface Through {
  readonly module: PKCS11
  readonly session: Handle
}

/** Ids of all private keys that have 16 octets; whose they are, the reader knows. */
export function listKeys(through: Through): string[] {
  const handles = find(through, [{ type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_PRIVATE_KEY }], MAX_KEYS + 1)
  if (handles.length > MAX_KEYS) throw new TokenFault('failed', `the token holds more than ${MAX_KEYS} keys`)
  return handles
    .map((handle) => read(through, handle, pkcs11js.CKA_ID))
    .filter((id) => id?.length === 16)
    .map((id) => Buffer.from(id ?? []).toString('hex'))
}

/** @throws {TokenFault} `key_missing`; `key_unusable` when two private keys share the id */
export function privateKeyHandle(through: Through, keyId: string): Handle {
  const [handle, ...others] = find(through, keyTemplate(pkcs11js.CKO_PRIVATE_KEY, keyId), 2)
  if (handle === undefined) throw new TokenFault('key_missing', 'the token has no private key of this id')
  if (others.length > 0) throw new TokenFault('key_unusable', 'two private keys have this id')
  return handle
}

/** @throws {TokenFault} `key_missing`, `key_unusable` */
export function readKey(through: Through, keyId: string): TokenKey {
  const handle = privateKeyHandle(through, keyId)
  const label = read(through, handle, pkcs11js.CKA_LABEL)?.toString('utf8') ?? ''
  return {
    keyId,
    label: label.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 100),
    material: publicMaterial(through, keyId),
    protection: protectionOf(through, handle),
  }
}

/** Makes a key pair in the token; nothing of the private half ever leaves it. */
export async function generateKey(through: Through, { keyId, label, spec }: Request<'generate'>): Promise<TokenKey> {
  const taken = find(through, [{ type: pkcs11js.CKA_ID, value: Buffer.from(keyId, 'hex') }], 1)
  if (taken.length > 0) throw new TokenFault('key_unusable', 'the token has an object of this id already')
  const { mechanism, parameters, derive } = GENERATION[spec]
  const named: Template = [
    { type: pkcs11js.CKA_TOKEN, value: true },
    { type: pkcs11js.CKA_ID, value: Buffer.from(keyId, 'hex') },
    { type: pkcs11js.CKA_LABEL, value: label },
  ]
  await awaiting('C_GenerateKeyPair', () =>
    through.module.C_GenerateKeyPairAsync(
      through.session,
      { mechanism: mechanism },
      [...named, ...parameters, { type: pkcs11js.CKA_VERIFY, value: true }],
      [
        ...named,
        { type: pkcs11js.CKA_PRIVATE, value: true },
        { type: pkcs11js.CKA_SENSITIVE, value: true },
        { type: pkcs11js.CKA_EXTRACTABLE, value: false },
        { type: pkcs11js.CKA_SIGN, value: true },
        ...[pkcs11js.CKA_DECRYPT, pkcs11js.CKA_UNWRAP, ...derive].map((type) => ({ type, value: false })),
      ],
    ),
  )
  return readKey(through, keyId)
}

/** Both halves. @throws {TokenFault} `key_missing` when there was neither */
export function destroyKey(through: Through, keyId: string): void {
  const all = find(through, [{ type: pkcs11js.CKA_ID, value: Buffer.from(keyId, 'hex') }], 10)
  if (all.length === 0) throw new TokenFault('key_missing', 'the token has no key of this id')
  const destroy = (handle: Handle) =>
    calling('C_DestroyObject', () => through.module.C_DestroyObject(through.session, handle))
  // The private half first: what a crash in between leaves is no key, and is listed by nobody.
  for (const handle of find(through, keyTemplate(pkcs11js.CKO_PRIVATE_KEY, keyId), 10)) destroy(handle)
  for (const handle of find(through, [{ type: pkcs11js.CKA_ID, value: Buffer.from(keyId, 'hex') }], 10)) destroy(handle)
}

function publicMaterial(through: Through, keyId: string): TokenKey['material'] {
  const [handle] = find(through, keyTemplate(pkcs11js.CKO_PUBLIC_KEY, keyId), 1)
  if (handle === undefined) throw new TokenFault('key_unusable', 'the public half is not in the token')
  const hex = (type: number) => read(through, handle, type)?.toString('hex')
  const [params, point] = [hex(pkcs11js.CKA_EC_PARAMS), hex(pkcs11js.CKA_EC_POINT)]
  if (params !== undefined && point !== undefined) return { type: 'ec', params, point }
  const [modulus, exponent] = [hex(pkcs11js.CKA_MODULUS), hex(pkcs11js.CKA_PUBLIC_EXPONENT)]
  if (modulus !== undefined && exponent !== undefined) return { type: 'rsa', modulus, exponent }
  throw new TokenFault('key_unusable', 'the public half is neither of ECDSA nor of RSA')
}

function protectionOf(through: Through, handle: Handle): Protection {
  const flag = (type: number) => {
    const value = read(through, handle, type)
    return value?.length === 1 ? value[0] !== 0 : null
  }
  return {
    token: flag(pkcs11js.CKA_TOKEN),
    private: flag(pkcs11js.CKA_PRIVATE),
    sensitive: flag(pkcs11js.CKA_SENSITIVE),
    extractable: flag(pkcs11js.CKA_EXTRACTABLE),
    alwaysSensitive: flag(pkcs11js.CKA_ALWAYS_SENSITIVE),
    neverExtractable: flag(pkcs11js.CKA_NEVER_EXTRACTABLE),
    local: flag(pkcs11js.CKA_LOCAL),
    sign: flag(pkcs11js.CKA_SIGN),
  }
}

/** One attribute at a time: a token that lacks one of several answers for none of them. */
function read({ module, session }: Through, handle: Handle, type: number): Buffer | undefined {
  try {
    const [result] = module.C_GetAttributeValue(session, handle, [{ type }])
    const value: unknown = result?.value
    return Buffer.isBuffer(value) ? value : undefined
  } catch (cause) {
    const why = returnValueOf(cause)
    if (why === 'CKR_ATTRIBUTE_TYPE_INVALID' || why === 'CKR_ATTRIBUTE_SENSITIVE') return undefined
    throw faultOf('C_GetAttributeValue', cause)
  }
}

function keyTemplate(objectClass: number, keyId: string): Template {
  return [
    { type: pkcs11js.CKA_CLASS, value: objectClass },
    { type: pkcs11js.CKA_ID, value: Buffer.from(keyId, 'hex') },
  ]
}

/** A search that is begun is ended: the session could do nothing else. */
function find({ module, session }: Through, template: Template, most: number): Handle[] {
  calling('C_FindObjectsInit', () => module.C_FindObjectsInit(session, template))
  const found: Handle[] = []
  try {
    while (found.length < most) {
      const handles = calling('C_FindObjects', () => module.C_FindObjects(session, Math.min(100, most - found.length)))
      if (handles.length === 0) break
      found.push(...handles)
    }
  } finally {
    calling('C_FindObjectsFinal', () => module.C_FindObjectsFinal(session))
  }
  return found
}

const MAX_KEYS = 5000
const F4 = Buffer.from([1, 0, 1])

const ec = (curveOidHex: string) => ({
  mechanism: pkcs11js.CKM_EC_KEY_PAIR_GEN,
  parameters: [{ type: pkcs11js.CKA_EC_PARAMS, value: Buffer.from(curveOidHex, 'hex') }],
  derive: [pkcs11js.CKA_DERIVE],
})
const rsa = (bits: number) => ({
  mechanism: pkcs11js.CKM_RSA_PKCS_KEY_PAIR_GEN,
  parameters: [
    { type: pkcs11js.CKA_MODULUS_BITS, value: bits },
    { type: pkcs11js.CKA_PUBLIC_EXPONENT, value: F4 },
  ],
  derive: [],
})

/** Curves by the DER of their OID (RFC 5480 §2.1.1.1). */
const GENERATION = {
  'P-256': ec('06082a8648ce3d030107'),
  'P-384': ec('06052b81040022'),
  'RSA-3072': rsa(3072),
  'RSA-4096': rsa(4096),
} as const satisfies Record<KeySpec, { mechanism: number; parameters: Template; derive: readonly number[] }>
