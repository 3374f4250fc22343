import { hash } from 'node:crypto'
import { der, nodeSignatureOptions, type PublicKey, signingAlgorithmFor } from '@vcc/x509'
import { KeyError } from '../error.ts'
import { assertKeyMatches } from '../match.ts'
import type { KeyPurpose, KeySpec, KeyStore, Signer } from '../signer.ts'
import { type ConnectionStatus, type Pkcs11Events, type Pkcs11Options, TokenConnection } from './connection.ts'
import { drawKeyId, purposeOfKeyId } from './key-id.ts'
import type { Protection } from './message.ts'
import { tokenPublicKey } from './public-key.ts'

/** A key store whose keys never leave their token. */
export interface Pkcs11Store extends KeyStore, AsyncDisposable {
  readonly status: () => ConnectionStatus
}

/**
 * Keys made and used in a PKCS#11 token, through a signer process of its own. Each is sensitive and not extractable, as
 * read back from the token, and is found again by its id, which says its purpose.
 *
 * The public halves are believed for nothing: whoever uses a key for a certificate compares, with `assertKeyMatches`.
 *
 * @param deps.beforeGenerate  Told the id of a key before it is made, so that one whose maker dies can be found.
 * @throws {KeyError} when the token cannot be opened: `hsm_module_unusable`, `hsm_token_missing`, `hsm_token_ambiguous`,
 *   `hsm_pin_refused`, `hsm_pin_locked`, `hsm_unavailable`
 */
export async function openPkcs11Store(
  options: Pkcs11Options,
  deps: { events: Pkcs11Events; beforeGenerate?: ((keyId: string) => Promise<void>) | undefined },
): Promise<Pkcs11Store> {
  const token = await TokenConnection.open(options, deps.events)
  const open = async (keyId: string, purpose: KeyPurpose) => {
    assertPurpose(keyId, purpose)
    const found = await token.call<'find'>({ op: 'find', keyId })
    assertHeld(keyId, found.protection)
    return signerOver(token, { keyId, purpose, publicKey: tokenPublicKey(found) })
  }
  return {
    open,
    async generate(purpose, spec) {
      const keyId = drawKeyId(purpose)
      await deps.beforeGenerate?.(keyId)
      try {
        const made = await token.call<'generate'>({ op: 'generate', keyId, label: labelOf(keyId, purpose), spec })
        assertMade(keyId, made.protection)
        const publicKey = tokenPublicKey(made)
        assertSpec(keyId, publicKey, spec)
        const signer = signerOver(token, { keyId, purpose, publicKey })
        await assertWorks(signer)
        return signer
      } catch (error) {
        await token.call<'destroy'>({ op: 'destroy', keyId }).catch(() => {}) // what is to be told is why it is no key
        throw error
      }
    },
    async list() {
      const { keyIds } = await token.call<'list'>({ op: 'list' })
      const ours = keyIds.toSorted().flatMap((keyId) => {
        const purpose = purposeOfKeyId(keyId)
        return purpose === undefined ? [] : [{ keyId, purpose }]
      })
      return Promise.all(
        ours.map(async ({ keyId, purpose }) => {
          const found = await token.call<'find'>({ op: 'find', keyId })
          const { spkiDer } = tokenPublicKey(found)
          return { keyId, purpose, spkiDer, held: 'hsm', protection: found.protection } as const
        }),
      )
    },
    async delete(keyId) {
      if (purposeOfKeyId(keyId) === undefined) throw notOurs(keyId)
      await token.call<'destroy'>({ op: 'destroy', keyId })
    },
    status: () => token.status(),
    [Symbol.asyncDispose]: () => token[Symbol.asyncDispose](),
  }
}

function signerOver(
  token: TokenConnection,
  { keyId, purpose, publicKey }: { keyId: string; purpose: KeyPurpose; publicKey: PublicKey },
): Signer {
  const algorithm = signingAlgorithmFor(publicKey.kind)
  const digestAlgorithm = nodeSignatureOptions(algorithm).hash
  const scheme = publicKey.kind.type === 'ec' ? 'ecdsa' : 'rsa-pss-sha384'
  return {
    keyId,
    purpose,
    publicKey,
    algorithm,
    held: 'hsm',
    async sign(bytes, options) {
      const digest = hash(digestAlgorithm, bytes, 'hex')
      const { signature } = await token.call<'sign'>({ op: 'sign', keyId, scheme, digest }, { signal: options?.signal })
      return encodeSignature(keyId, publicKey, Buffer.from(signature, 'hex'))
    },
  }
}

/** As `Signer` promises it: Ecdsa-Sig-Value (RFC 3279 §2.2.3) from r ‖ s, and an RSA signature as it comes. */
function encodeSignature(keyId: string, { kind }: PublicKey, signature: Uint8Array): Uint8Array {
  const octets = kind.type === 'rsa' ? kind.bits / 8 : 2 * COORDINATE_OCTETS[kind.curve]
  if (signature.length !== octets) {
    throw new KeyError('signer_failed', `key ${keyId}: the token gave ${signature.length} octets, not ${octets}`)
  }
  if (kind.type === 'rsa') return new Uint8Array(signature)
  const half = octets / 2
  return der.encodeDer(der.sequence(der.integer(signature.subarray(0, half)), der.integer(signature.subarray(half))))
}

const COORDINATE_OCTETS = { 'P-256': 32, 'P-384': 48, 'P-521': 66 } as const

/** A key that does not sign as its public half says must not certify anything. */
async function assertWorks(signer: Signer): Promise<void> {
  try {
    await assertKeyMatches(signer, signer)
  } catch (cause) {
    if (!(cause instanceof KeyError) || cause.code !== 'key_certificate_mismatch') throw cause
    throw new KeyError('hsm_key_refused', `key ${signer.keyId}: what it signs does not verify`, { cause })
  }
}

/** The words on the key, for whoever looks into the token with another tool. Nothing is decided by them. */
function labelOf(keyId: string, purpose: KeyPurpose): string {
  return `${purpose}-${keyId}`
}

function assertPurpose(keyId: string, purpose: KeyPurpose): void {
  const made = purposeOfKeyId(keyId)
  if (made === undefined) throw notOurs(keyId)
  if (made === purpose) return
  throw new KeyError('key_purpose_mismatch', `key ${keyId} is a key for "${made}", not for "${purpose}"`)
}

function notOurs(keyId: string): KeyError {
  if (!/^[0-9a-f]{32}$/.test(keyId)) {
    return new KeyError('key_id_invalid', 'a key id has 32 hexadecimal digits in lower case')
  }
  return new KeyError('key_not_found', `the token has no key ${keyId} of ours`)
}

/** What must hold each time a key is used. */
function assertHeld(keyId: string, protection: Protection): void {
  assertAttributes(keyId, protection, { token: true, private: true, sensitive: true, extractable: false, sign: true })
}

/** What must hold of a key the token has just made: it was never elsewhere, nor readable. */
function assertMade(keyId: string, protection: Protection): void {
  assertHeld(keyId, protection)
  assertAttributes(keyId, protection, { local: true, alwaysSensitive: true, neverExtractable: true })
}

function assertAttributes(keyId: string, protection: Protection, wanted: Partial<Protection>): void {
  for (const [name, value] of Object.entries(wanted)) {
    const found = protection[name as keyof Protection] // a key of the object above
    if (found === value) continue
    const says = found === null ? 'does not say' : `says ${found}`
    throw new KeyError('hsm_attributes_refused', `key ${keyId}: ${name} has to be ${value}, and the token ${says}`)
  }
}

function assertSpec(keyId: string, { kind }: PublicKey, spec: KeySpec): void {
  const made = kind.type === 'ec' ? kind.curve : `RSA-${kind.bits}`
  if (made === spec) return
  throw new KeyError('hsm_key_refused', `key ${keyId}: the token made ${made} where ${spec} was asked for`)
}
