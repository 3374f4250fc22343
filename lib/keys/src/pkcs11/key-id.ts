import { createHash, randomBytes } from 'node:crypto'
import { KEY_PURPOSES, type KeyPurpose } from '../signer.ts'

/**
 * A new id for a key of a token: 8 random octets, then 8 octets of SHA-256 over them and the purpose, in hex.
 *
 * It becomes the CKA_ID. So the purpose needs no attribute that somebody could edit, and a foreign key in a shared
 * token is not taken for one of ours.
 */
export function drawKeyId(purpose: KeyPurpose): string {
  const drawn = randomBytes(OCTETS)
  return drawn.toString('hex') + check(drawn, purpose)
}

/** What the key of this id was made for; undefined for an id that was not drawn here. */
export function purposeOfKeyId(keyId: string): KeyPurpose | undefined {
  if (!KEY_ID.test(keyId)) return undefined
  const drawn = Buffer.from(keyId.slice(0, 2 * OCTETS), 'hex')
  const stated = keyId.slice(2 * OCTETS)
  return KEY_PURPOSES.find((purpose) => check(drawn, purpose) === stated)
}

function check(drawn: Uint8Array, purpose: KeyPurpose): string {
  return createHash('sha256')
    .update('vcc-key id\n')
    .update(drawn)
    .update(purpose)
    .digest('hex')
    .slice(0, 2 * OCTETS)
}

const OCTETS = 8
const KEY_ID = /^[0-9a-f]{32}$/
