import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureFolder, errorCode, RuntimeError, readSecretFile, removeFile, writeFileAtomic } from '@vcc/runtime'
import { KeyError, type KeyFailure } from './error.ts'
import { generatePrivateKey, signerOver } from './key-pair.ts'
import { formatSealedKey, parseSealedKey, type SealedKey, sealKey, unsealKey } from './sealed-key.ts'
import type { KeyStore, StoredKey } from './signer.ts'

/**
 * Keys in files of their own, `<keyId>.key` with mode 0600, encrypted under one wrapping key with key id, purpose and
 * public key as associated data. A copied, renamed or edited file is refused.
 *
 * The wrapping key belongs outside `folder`: together they are the keys. Opened keys stay in the memory of the process.
 *
 * @param options.wrappingKey  32 bytes, from lib/runtime's `readKeyFile`
 */
export function softwareStore(options: { folder: string; wrappingKey: Uint8Array }): KeyStore {
  if (options.wrappingKey.length !== 32) throw new TypeError('a wrapping key has 32 bytes')
  const wrappingKey = Uint8Array.from(options.wrappingKey)
  const { folder } = options

  const open: KeyStore['open'] = async (keyId, purpose) => {
    const sealed = await readSealed(folder, keyId)
    if (sealed.purpose !== purpose) {
      throw new KeyError('key_purpose_mismatch', `key ${keyId} is a key for "${sealed.purpose}", not for "${purpose}"`)
    }
    return signerOver(unsealKey(sealed, wrappingKey), { keyId, purpose, held: 'software' })
  }

  return {
    open,
    async generate(purpose, spec) {
      const keyId = randomBytes(16).toString('hex')
      const sealed = sealKey(await generatePrivateKey(spec), { keyId, purpose }, wrappingKey)
      await ensureFolder(folder)
      await writeFileAtomic(pathOf(folder, keyId), formatSealedKey(sealed))
      // From the file, not from memory: what could not be read back must not certify anything.
      return await open(keyId, purpose)
    },
    async list() {
      const keys: StoredKey[] = []
      for (const keyId of await keyIds(folder)) {
        const { purpose, spkiDer } = await readSealed(folder, keyId)
        keys.push({ keyId, purpose, spkiDer, held: 'software' })
      }
      return keys
    },
    async delete(keyId) {
      await removeFile(pathOf(folder, keyId)).catch((cause: unknown) => {
        throw storeError(keyId, cause)
      })
    },
  }
}

async function readSealed(folder: string, keyId: string): Promise<SealedKey> {
  const path = pathOf(folder, keyId)
  const bytes = await readSecretFile(path, { maxBytes: MAX_FILE_BYTES }).catch((cause: unknown) => {
    throw storeError(keyId, cause)
  })
  const sealed = parseSealedKey(bytes.toString('utf8'), path)
  if (sealed.keyId !== keyId) throw new KeyError('key_swapped', `${path} holds the key of another key id`)
  return sealed
}

async function keyIds(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((cause: unknown) => {
    if (errorCode(cause) === 'ENOENT') return [] // a store without its first key
    throw new KeyError('key_unreadable', `the key store ${folder} cannot be read`, { cause })
  })
  return names
    .filter((name) => name.endsWith('.key'))
    .map((name) => name.slice(0, -'.key'.length))
    .filter((keyId) => KEY_ID.test(keyId))
    .toSorted()
}

function pathOf(folder: string, keyId: string): string {
  if (!KEY_ID.test(keyId)) throw new KeyError('key_id_invalid', 'a key id has 32 hexadecimal digits in lower case')
  return join(folder, `${keyId}.key`)
}

function storeError(keyId: string, cause: unknown): unknown {
  if (!(cause instanceof RuntimeError)) return cause
  const code = CODE_OF[cause.code] ?? 'key_unreadable'
  const message = code === 'key_not_found' ? `there is no key ${keyId}` : `key ${keyId}: ${cause.message}`
  return new KeyError(code, message, { cause, hint: cause.hint })
}

const CODE_OF: Readonly<Partial<Record<RuntimeError['code'], KeyFailure>>> = {
  file_missing: 'key_not_found',
  file_too_large: 'key_malformed',
  file_not_regular: 'key_malformed',
  secret_empty: 'key_malformed',
  secret_permissions: 'key_permissions',
}

/** An encrypted RSA-4096 key takes 4.2 KiB. */
const MAX_FILE_BYTES = 16_384
const KEY_ID = /^[0-9a-f]{32}$/
