export { KEY_FAILURES, KeyError, type KeyFailure } from './error.ts'
export { assertKeyMatches } from './match.ts'
export { type MemorySigner, memorySigner } from './memory-signer.ts'
export {
  KEY_PURPOSES,
  KEY_SPECS,
  type KeyInfo,
  type KeyPurpose,
  type KeySpec,
  type KeyStore,
  type Signer,
} from './signer.ts'
export { softwareStore } from './software-store.ts'
