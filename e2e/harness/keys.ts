import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type KeyStore, openPkcs11Store, type Pkcs11Events, type Pkcs11Options, softwareStore } from '@vcc/keys'
import type { SoftHsmToken } from '@vcc/testkit'

/** Where this run of the suite has the keys of CAs and signers of state: `VCC_E2E_KEYS`, or files. */
export const KEYS_OF_RUN: 'software' | 'softhsm' = keysName(process.env['VCC_E2E_KEYS'] ?? '')

function keysName(wanted: string): 'software' | 'softhsm' {
  if (wanted === '' || wanted === 'software') return 'software'
  if (wanted === 'softhsm') return wanted
  throw new Error(`VCC_E2E_KEYS=${wanted} is no place for keys; known are software and softhsm`)
}

/** The keys of an installation in the hands of its owner, who has the wrapping key, or the PIN. */
export async function ownKeys(
  folder: string,
  token: SoftHsmToken | undefined,
): Promise<Pick<KeyStore, 'list' | 'open'> & AsyncDisposable> {
  if (token === undefined) {
    const bytes = await readFile(join(folder, 'secrets', 'key-store.key'))
    const wrappingKey = bytes.length === 32 ? bytes : Uint8Array.fromHex(bytes.toString('latin1').trim())
    const store = softwareStore({ folder: join(folder, 'data', 'keys'), wrappingKey })
    return { ...store, [Symbol.asyncDispose]: async () => {} }
  }
  return openPkcs11Store(pkcs11Options(token), { events: UNHEARD })
}

/** The token as a key store of the test's own. */
export function pkcs11Options({ module, label, environment, pinFile }: SoftHsmToken): Pkcs11Options {
  const readPin = async () => (await readFile(pinFile, 'utf8')).trim()
  return { module, label, environment, readPin, sessions: 2, queue: 1000, timeoutMs: 30_000, keepAliveMs: 60_000 }
}

export const UNHEARD: Pkcs11Events = { started: () => {}, lost: () => {}, unavailable: () => {}, operation: () => {} }
