export { KEY_FAILURES, KeyError, type KeyFailure } from './error.ts'
export { assertKeyMatches } from './match.ts'
export { type MemorySigner, memorySigner } from './memory-signer.ts'
export type { ConnectionStatus, Pkcs11Events, Pkcs11Options } from './pkcs11/connection.ts'
export type { Protection, TokenFacts } from './pkcs11/message.ts'
export { openPkcs11Store, type Pkcs11Store } from './pkcs11/store.ts'
export {
  KEY_PURPOSES,
  KEY_SPECS,
  type KeyInfo,
  type KeyPurpose,
  type KeySpec,
  type KeyStore,
  type Signer,
  type StoredKey,
} from './signer.ts'
export { softwareStore } from './software-store.ts'
export { type StoreName, storesByPurpose } from './stores-by-purpose.ts'
