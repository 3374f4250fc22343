import { KeyError } from './error.ts'
import type { KeyPurpose, KeyStore } from './signer.ts'

/** Where keys of a purpose are made. */
export type StoreName = 'software' | 'hsm'

/**
 * One store over two. A new key is made where its purpose says. A key that exists is found where it is, so that the
 * choice may change while older keys go on working.
 *
 * @throws {TypeError} from `generate`, for a purpose that names a store which is not there
 */
export function storesByPurpose(
  stores: { software: KeyStore; hsm: KeyStore | undefined },
  storeOf: (purpose: KeyPurpose) => StoreName,
): KeyStore {
  const { software, hsm } = stores
  const where = async <T>(use: (store: KeyStore) => Promise<T>): Promise<T> => {
    try {
      return await use(software)
    } catch (error) {
      if (hsm === undefined || !(error instanceof KeyError) || error.code !== 'key_not_found') throw error
      return await use(hsm)
    }
  }
  return {
    async generate(purpose, spec) {
      const store = stores[storeOf(purpose)]
      if (store === undefined) throw new TypeError(`keys for "${purpose}" belong into a store that is not there`)
      return await store.generate(purpose, spec)
    },
    open: (keyId, purpose) => where((store) => store.open(keyId, purpose)),
    list: async () => [...(await software.list()), ...((await hsm?.list()) ?? [])],
    delete: (keyId) => where((store) => store.delete(keyId)),
  }
}
