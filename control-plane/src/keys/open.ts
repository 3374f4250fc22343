import {
  type KeyPurpose,
  type KeyStore,
  openPkcs11Store,
  type Pkcs11Events,
  type Pkcs11Store,
  type StoreName,
  softwareStore,
  storesByPurpose,
} from '@vcc/keys'
import { readKeyFile, readSecretText } from '@vcc/runtime'
import type { ControlConfig } from '../config.ts'
import { type KeysConfig, STORED_PURPOSES } from './config.ts'

/** The key stores of an installation as one. Disposing of it ends the signer process. */
export interface Keys extends KeyStore, AsyncDisposable {
  /** The token, where one is configured. */
  readonly hsm: Pkcs11Store | undefined
  readonly storeOf: (purpose: KeyPurpose) => StoreName
  readonly config: KeysConfig
}

/**
 * Opens the key stores that the configuration names: files in `folder`, and the token.
 *
 * @throws {KeyError} `hsm_…` when the token cannot be opened; RuntimeError of the secret files
 */
export async function openKeys(
  { keys, secrets }: Pick<ControlConfig, 'keys' | 'secrets'>,
  folder: string,
  deps: { events?: Pkcs11Events; beforeGenerate?: (keyId: string) => Promise<void> } = {},
): Promise<Keys> {
  const software = softwareStore({ folder, wrappingKey: await readKeyFile(secrets.key_store_key_file) })
  const hsm = keys.hsm && (await openToken(keys.hsm, deps))
  const storeOf = (purpose: KeyPurpose) => {
    const stored = STORED_PURPOSES.find((each) => each === purpose)
    return stored === undefined ? 'software' : keys.store[stored]
  }
  return {
    ...storesByPurpose({ software, hsm }, storeOf),
    hsm,
    storeOf,
    config: keys,
    [Symbol.asyncDispose]: async () => hsm?.[Symbol.asyncDispose](),
  }
}

function openToken(
  hsm: NonNullable<KeysConfig['hsm']>,
  { events = UNHEARD, beforeGenerate }: { events?: Pkcs11Events; beforeGenerate?: (keyId: string) => Promise<void> },
): Promise<Pkcs11Store> {
  const options = {
    module: hsm.module,
    environment: hsm.environment,
    label: hsm.token,
    serial: hsm.serial,
    readPin: () => readSecretText(hsm.pin_file, { maxBytes: 1024 }),
    sessions: hsm.sessions,
    queue: hsm.queue,
    timeoutMs: hsm.timeout.ms,
    keepAliveMs: hsm.keep_alive.ms,
  }
  return openPkcs11Store(options, { events, beforeGenerate })
}

/** For commands that end soon: what fails, they say themselves. */
const UNHEARD: Pkcs11Events = { started: () => {}, lost: () => {}, unavailable: () => {}, operation: () => {} }
