import { join } from 'node:path'
import { RuntimeError } from './error.ts'
import { openToRead, readOpenFile, regularFile } from './file.ts'
import { type Environment, environment } from './host.ts'

/**
 * Reads a secret from a file that only its owner may read.
 *
 * A name without `/` is a systemd credential when `$CREDENTIALS_DIRECTORY` is set, else a file in the working
 * folder. Symbolic links are followed on purpose, mode and content are those of the file they end at.
 *
 * @param nameOrPath  Never the secret itself: it appears in messages.
 * @returns At most `maxBytes` (default 64 KiB) as they are, at least one.
 * @throws {RuntimeError} `secret_permissions`, `secret_empty`, and those of `readFileBounded`
 */
export async function readSecretFile(
  nameOrPath: string,
  options: { maxBytes?: number; env?: Environment } = {},
): Promise<Buffer> {
  const { path, forbiddenMode } = locate(nameOrPath, options.env ?? environment())
  await using file = await openToRead(path)
  const { mode } = await regularFile(file, path)
  if ((mode & forbiddenMode) !== 0) {
    throw new RuntimeError('secret_permissions', `${path} may be used by others (mode ${(mode & 0o777).toString(8)})`, {
      hint: `chmod 600 ${path}`,
    })
  }
  const secret = await readOpenFile(file, path, options.maxBytes ?? 65_536)
  if (secret.length === 0) throw new RuntimeError('secret_empty', `${path} is empty`)
  return secret
}

/** The same as text in UTF-8, without the line end that editors and `echo` leave behind. */
export async function readSecretText(
  nameOrPath: string,
  options: { maxBytes?: number; env?: Environment } = {},
): Promise<string> {
  const text = (await readSecretFile(nameOrPath, options)).toString('utf8').replace(/\r?\n$/, '')
  if (text === '') throw new RuntimeError('secret_empty', `${nameOrPath} holds nothing but a line end`)
  return text
}

/**
 * Reads a key of 32 bytes, stored raw or as 64 hexadecimal digits with or without a line end.
 *
 * @throws {RuntimeError} `key_file_invalid`, and those of `readSecretFile`
 */
export async function readKeyFile(nameOrPath: string, options: { env?: Environment } = {}): Promise<Uint8Array> {
  const bytes = await readSecretFile(nameOrPath, { ...options, maxBytes: 1024 })
  if (bytes.length === 32) return new Uint8Array(bytes)
  const digits = bytes.toString('latin1').replace(/\r?\n$/, '')
  if (/^[0-9a-fA-F]{64}$/.test(digits)) return new Uint8Array(Buffer.from(digits, 'hex'))
  throw new RuntimeError('key_file_invalid', `${nameOrPath} holds neither 32 bytes nor 64 hexadecimal digits`, {
    hint: `(umask 077; openssl rand -hex 32 > ${nameOrPath})`,
  })
}

/** systemd grants a service its credentials by an ACL, which shows as group-readable; its folder is private. */
function locate(nameOrPath: string, env: Environment): { path: string; forbiddenMode: number } {
  const credentials = env['CREDENTIALS_DIRECTORY']
  if (credentials === undefined || credentials === '' || nameOrPath.includes('/')) {
    return { path: nameOrPath, forbiddenMode: 0o077 }
  }
  return { path: join(credentials, nameOrPath), forbiddenMode: 0o037 }
}
