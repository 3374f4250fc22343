import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { publicKeyOf } from '@vcc/x509'
import { KeyError } from './error.ts'
import { KEY_PURPOSES, type KeyInfo, type KeyPurpose } from './signer.ts'

/** A private key under AES-256-GCM, and what is said about it in clear; all of that is its associated data. */
export interface SealedKey extends KeyInfo {
  /** Tells wrapping keys apart, says nothing about them: 8 octets of an HMAC-SHA-256. */
  readonly wrappingKeyId: Uint8Array
  /** 96 random bits. */
  readonly nonce: Uint8Array
  /** PKCS#8 in DER, then the tag of 16 octets. */
  readonly ciphertext: Uint8Array
}

export function sealKey(
  privateKey: KeyObject,
  facts: { keyId: string; purpose: KeyPurpose },
  wrappingKey: Uint8Array,
): SealedKey {
  const info: KeyInfo = { ...facts, spkiDer: publicKeyOf(privateKey).spkiDer }
  const nonce = randomBytes(12)
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
  const cipher = createCipheriv('aes-256-gcm', wrappingKey, nonce).setAAD(associatedData(info))
  const ciphertext = Buffer.concat([cipher.update(pkcs8), cipher.final(), cipher.getAuthTag()])
  pkcs8.fill(0)
  return { ...info, wrappingKeyId: wrappingKeyId(wrappingKey), nonce, ciphertext }
}

/** @throws {KeyError} `key_wrapping_wrong`, `key_tampered`, `key_swapped` */
export function unsealKey(sealed: SealedKey, wrappingKey: Uint8Array): KeyObject {
  if (!wrappingKeyId(wrappingKey).equals(sealed.wrappingKeyId)) {
    throw new KeyError('key_wrapping_wrong', `key ${sealed.keyId} is encrypted under another wrapping key`, {
      hint: 'name the wrapping key file that this key store was created with',
    })
  }
  const pkcs8 = decrypt(sealed, wrappingKey)
  try {
    const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
    if (Buffer.from(publicKeyOf(privateKey).spkiDer).equals(sealed.spkiDer)) return privateKey
  } catch (cause) {
    throw new KeyError('key_swapped', `key ${sealed.keyId}: the file does not hold a usable private key`, { cause })
  } finally {
    pkcs8.fill(0)
  }
  throw new KeyError('key_swapped', `key ${sealed.keyId}: the private key is not that of the public key in the file`)
}

/** One line of JSON with a line end: the only text that `parseSealedKey` takes for this key. */
export function formatSealedKey(sealed: SealedKey): string {
  const file: KeyFile = {
    version: VERSION,
    keyId: sealed.keyId,
    purpose: sealed.purpose,
    spki: base64(sealed.spkiDer),
    wrappingKeyId: base64(sealed.wrappingKeyId),
    nonce: base64(sealed.nonce),
    ciphertext: base64(sealed.ciphertext),
  }
  return `${JSON.stringify(file)}\n`
}

/**
 * Reads what `formatSealedKey` wrote, byte for byte. Does not decrypt, so what it says about the key is not yet proved.
 *
 * @throws {KeyError} `key_malformed`, `key_version_unknown`
 */
export function parseSealedKey(text: string, name: string): SealedKey {
  const malformed = (cause?: unknown) => new KeyError('key_malformed', `${name} is not a key file`, { cause })
  const file = parseJson(text, malformed)
  if (file['version'] !== VERSION) {
    throw new KeyError('key_version_unknown', `${name} has a version that this program does not know`)
  }
  const purpose = KEY_PURPOSES.find((each) => each === file['purpose'])
  const { keyId } = file
  if (purpose === undefined || typeof keyId !== 'string') throw malformed()
  const bytes = (field: string) => {
    const value = file[field]
    if (typeof value !== 'string') throw malformed()
    return new Uint8Array(Buffer.from(value, 'base64'))
  }
  const sealed: SealedKey = {
    keyId,
    purpose,
    spkiDer: bytes('spki'),
    wrappingKeyId: bytes('wrappingKeyId'),
    nonce: bytes('nonce'),
    ciphertext: bytes('ciphertext'),
  }
  if (sealed.nonce.length !== 12 || sealed.ciphertext.length <= TAG_OCTETS || formatSealedKey(sealed) !== text)
    throw malformed()
  return sealed
}

interface KeyFile {
  readonly version: typeof VERSION
  readonly keyId: string
  readonly purpose: KeyPurpose
  readonly spki: string
  readonly wrappingKeyId: string
  readonly nonce: string
  readonly ciphertext: string
}

function decrypt(sealed: SealedKey, wrappingKey: Uint8Array): Buffer {
  const split = sealed.ciphertext.length - TAG_OCTETS
  const decipher = createDecipheriv('aes-256-gcm', wrappingKey, sealed.nonce, { authTagLength: TAG_OCTETS })
    .setAAD(associatedData(sealed))
    .setAuthTag(sealed.ciphertext.subarray(split))
  try {
    return Buffer.concat([decipher.update(sealed.ciphertext.subarray(0, split)), decipher.final()])
  } catch (cause) {
    throw new KeyError('key_tampered', `the file of key ${sealed.keyId} was changed after it was written`, {
      cause,
      hint: 'restore the key store from its backup',
    })
  }
}

/** Neither key id nor purpose contains a line feed, so the three cannot run into each other. */
function associatedData({ keyId, purpose, spkiDer }: KeyInfo): Buffer {
  return Buffer.concat([Buffer.from(`vcc-key ${VERSION}\n${keyId}\n${purpose}\n`), spkiDer])
}

function wrappingKeyId(wrappingKey: Uint8Array): Buffer {
  return createHmac('sha256', wrappingKey).update('vcc-key wrapping key id').digest().subarray(0, 8)
}

function parseJson(text: string, malformed: (cause?: unknown) => KeyError): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return { ...value }
  } catch (cause) {
    throw malformed(cause)
  }
  throw malformed()
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

const VERSION = 1
const TAG_OCTETS = 16
