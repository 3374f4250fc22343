import { join } from 'node:path'
import { RuntimeError, readSecretFile, removeFile, writeFileAtomic } from '@vcc/runtime'
import { decodePem, encodePem } from '@vcc/x509'
import { AgentError } from '../errors.ts'
import { type AgentKey, generateAgentKey, parseAgentKey } from './key.ts'

/** What the identity file holds; the chain is not verified, only that it can be read. */
export interface StoredIdentity {
  readonly key: AgentKey
  /** Leaf first. */
  readonly chainDer: readonly Uint8Array[]
}

export interface IdentityFiles {
  /** `undefined` when nothing was ever stored. @throws {AgentError} `identity_file_invalid` */
  readonly read: () => Promise<StoredIdentity | undefined>
  /** Key and chain are replaced together: whoever reads sees the old pair or the new one. */
  readonly write: (identity: StoredIdentity) => Promise<void>
  readonly readPending: () => Promise<AgentKey | undefined>
  /** The key for the next certificate: the one stored before, or a new one that is on disk when this resolves. */
  readonly pendingKey: () => Promise<AgentKey>
  readonly dropPending: () => Promise<void>
  readonly path: string
}

/** The private files of an identity, mode 0600, in the state folder. */
export function identityFiles(folder: string): IdentityFiles {
  const path = join(folder, 'identity.pem')
  const pendingPath = join(folder, 'pending-key.pem')
  const readPending = async () => {
    const pem = await readIfThere(pendingPath)
    return pem === undefined ? undefined : parseAgentKey(pem)
  }
  return {
    path,
    async read() {
      const pem = await readIfThere(path)
      return pem === undefined ? undefined : parseIdentity(pem)
    },
    write: ({ key, chainDer }) => writeFileAtomic(path, formatIdentity(key, chainDer)),
    readPending,
    async pendingKey() {
      const stored = await readPending()
      if (stored !== undefined) return stored
      const key = await generateAgentKey()
      await writeFileAtomic(pendingPath, key.privateKeyPem())
      return key
    },
    async dropPending() {
      await removeFile(pendingPath).catch(ignoreMissing)
    },
  }
}

function formatIdentity(key: AgentKey, chainDer: readonly Uint8Array[]): string {
  return key.privateKeyPem() + chainDer.map((der) => encodePem('CERTIFICATE', der)).join('')
}

function parseIdentity(pem: string): StoredIdentity {
  let chainDer: readonly Uint8Array[]
  try {
    chainDer = decodePem(pem.slice(Math.max(0, pem.indexOf('-----BEGIN CERTIFICATE'))), 'CERTIFICATE')
  } catch (cause) {
    throw new AgentError('identity_file_invalid', 'the certificates of the identity cannot be read', { cause })
  }
  const key = parseAgentKey(pem)
  if (chainDer.length < 1 || chainDer.length > 4) {
    throw new AgentError(
      'identity_file_invalid',
      `the identity holds ${chainDer.length} certificates instead of one to four`,
    )
  }
  return { key, chainDer }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readSecretFile(path, { maxBytes: MAX_BYTES })).toString('utf8')
  } catch (error) {
    if (error instanceof RuntimeError && NOT_WRITTEN_BY_US.has(error.code)) {
      throw new AgentError('identity_file_invalid', error.message, { cause: error, reason: error.code })
    }
    ignoreMissing(error)
    return undefined
  }
}

const NOT_WRITTEN_BY_US: ReadonlySet<string> = new Set(['secret_empty', 'file_too_large', 'file_not_regular'])

/** @throws whatever is not the absence of the file */
export function ignoreMissing(error: unknown): void {
  if (!(error instanceof RuntimeError) || error.code !== 'file_missing') throw error
}

const MAX_BYTES = 131_072
