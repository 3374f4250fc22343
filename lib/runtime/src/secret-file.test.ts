import { chmod, mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { readKeyFile, readSecretFile, readSecretText } from './secret-file.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-secret-'))
})

async function secret(content: string | Uint8Array, mode = 0o600): Promise<string> {
  const path = join(folder, 'secret')
  await writeFile(path, content)
  await chmod(path, mode)
  return path
}

describe('permissions', () => {
  for (const mode of [0o600, 0o400, 0o700]) {
    test(`mode ${mode.toString(8)} is accepted`, async () => {
      expect((await readSecretFile(await secret('x', mode), { env: {} })).toString()).toBe('x')
    })
  }

  for (const mode of [0o640, 0o604, 0o660, 0o644, 0o620, 0o602, 0o610, 0o601, 0o777]) {
    test(`mode ${mode.toString(8)} is refused with what to type`, async () => {
      const path = await secret('hunter2', mode)
      const refusal = await readSecretFile(path, { env: {} }).catch((error: unknown) => error)
      expect(refusal).toMatchObject({ name: 'RuntimeError', code: 'secret_permissions', hint: `chmod 600 ${path}` })
      expect(String(refusal)).not.toContain('hunter2')
    })
  }

  test('a link is judged by the file it ends at', async () => {
    const path = await secret('x', 0o644)
    await symlink(path, join(folder, 'link'))
    await expect(readSecretFile(join(folder, 'link'), { env: {} })).rejects.toMatchObject({
      code: 'secret_permissions',
    })
  })
})

describe('systemd credentials', () => {
  test('a bare name is looked for there, and may be group-readable as systemd leaves it', async () => {
    await secret('from systemd', 0o440)
    expect(await readSecretText('secret', { env: { CREDENTIALS_DIRECTORY: folder } })).toBe('from systemd')
  })
  test('not readable by everybody even there', async () => {
    await secret('x', 0o444)
    await expect(readSecretText('secret', { env: { CREDENTIALS_DIRECTORY: folder } })).rejects.toMatchObject({
      code: 'secret_permissions',
    })
  })
  test('a path is a path', async () => {
    const path = await secret('x')
    expect(await readSecretText(path, { env: { CREDENTIALS_DIRECTORY: '/nonexistent' } })).toBe('x')
  })
  test('a name that is not there is not looked for elsewhere', async () => {
    await expect(readSecretText('package.json', { env: { CREDENTIALS_DIRECTORY: folder } })).rejects.toMatchObject({
      code: 'file_missing',
    })
  })
})

describe('content', () => {
  const texts: readonly [content: string, text: string][] = [
    ['abc', 'abc'],
    ['abc\n', 'abc'],
    ['abc\r\n', 'abc'],
    ['abc\n\n', 'abc\n'],
    [' abc ', ' abc '],
  ]
  for (const [content, text] of texts) {
    test(`${JSON.stringify(content)} is ${JSON.stringify(text)}`, async () => {
      expect(await readSecretText(await secret(content), { env: {} })).toBe(text)
    })
  }
  test('an empty file is refused', async () => {
    await expect(readSecretFile(await secret(''), { env: {} })).rejects.toMatchObject({ code: 'secret_empty' })
  })
  test('a line end alone is refused', async () => {
    await expect(readSecretText(await secret('\n'), { env: {} })).rejects.toMatchObject({ code: 'secret_empty' })
  })
  test('more than the bound is refused', async () => {
    await expect(readSecretFile(await secret('12345'), { env: {}, maxBytes: 4 })).rejects.toMatchObject({
      code: 'file_too_large',
    })
  })
  test('a folder is refused', async () => {
    await mkdir(join(folder, 'd'), { mode: 0o700 })
    await expect(readSecretFile(join(folder, 'd'), { env: {} })).rejects.toMatchObject({ code: 'file_not_regular' })
  })
})

describe('key files', () => {
  const hex = '00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF'
  const good: readonly [name: string, content: string | Uint8Array][] = [
    ['32 raw bytes', Buffer.from(hex, 'hex')],
    ['64 digits', hex],
    ['64 digits and a line end', `${hex}\n`],
    ['64 digits and a Windows line end', `${hex}\r\n`],
  ]
  for (const [name, content] of good) {
    test(`${name} are a key`, async () => {
      expect(Buffer.from(await readKeyFile(await secret(content), { env: {} })).toString('hex')).toBe(hex.toLowerCase())
    })
  }

  const bad: readonly [name: string, content: string | Uint8Array][] = [
    ['31 raw bytes', new Uint8Array(31)],
    ['33 raw bytes', new Uint8Array(33)],
    ['63 digits', hex.slice(1)],
    ['65 digits', `${hex}0`],
    ['64 characters of which one is no digit', `${hex.slice(1)}g`],
    ['two line ends', `${hex}\n\n`],
    ['a blank before', ` ${hex}`],
    ['64 raw bytes', new Uint8Array(64)],
    ['a PEM file', '-----BEGIN PRIVATE KEY-----\n'],
  ]
  for (const [name, content] of bad) {
    test(`${name} are none`, async () => {
      const refusal = await readKeyFile(await secret(content), { env: {} }).catch((error: unknown) => error)
      expect(refusal).toMatchObject({
        name: 'RuntimeError',
        code: 'key_file_invalid',
        hint: expect.stringContaining('openssl rand -hex 32'),
      })
      expect(String(refusal)).not.toContain(hex.slice(2, 30))
    })
  }
})
