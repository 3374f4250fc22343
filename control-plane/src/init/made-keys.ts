import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { KeyError, type KeyStore } from '@vcc/keys'
import { CliError, errorCode, readFileBounded } from '@vcc/runtime'

/**
 * Ids of the keys that this `init` has the token make, on the disk before each is made. What is in files goes with its
 * folder; keys in a token stay behind an `init` that fails or is killed, unless somebody knows them.
 */
export interface MadeKeys {
  readonly note: (keyId: string) => Promise<void>
  readonly areThere: () => Promise<boolean>
  /** Of an `init` that did not end, this one or an earlier one. */
  readonly destroyAll: (token: Pick<KeyStore, 'delete'> | undefined) => Promise<void>
  /** The installation is complete: they are its keys. */
  readonly forget: () => Promise<void>
}

export function madeKeys(folder: string): MadeKeys {
  const file = join(folder, 'made-keys')
  return {
    async note(keyId) {
      await using journal = await open(file, 'a', 0o600)
      await journal.writeFile(`${keyId}\n`)
      await journal.sync()
    },
    areThere: async () => (await noted(file)).length > 0,
    async destroyAll(token) {
      const made = await noted(file)
      if (made.length === 0) return
      if (token === undefined) {
        throw new CliError(
          'conflict',
          'hsm_keys_left',
          `an init that did not end left ${made.length} keys in a token`,
          {
            hint: `configure keys.hsm as it was then, so that they are deleted; or delete ${folder}, and them by hand`,
          },
        )
      }
      for (const keyId of made) {
        await token.delete(keyId).catch((error: unknown) => {
          if (!(error instanceof KeyError) || error.code !== 'key_not_found') throw error
        })
      }
      await rm(file)
    },
    forget: () => rm(file, { force: true }),
  }
}

async function noted(file: string): Promise<readonly string[]> {
  try {
    const lines = (await readFileBounded(file, 65_536)).toString('utf8').split('\n')
    return lines.filter((line) => /^[0-9a-f]{32}$/.test(line)) // a line that was cut off is of a key that was not made
  } catch (error) {
    if (errorCode(error) === 'file_missing') return []
    throw error
  }
}
