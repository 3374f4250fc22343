import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { testPki } from '@vcc/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { identityFiles } from './identity-file.ts'
import { generateAgentKey, parseAgentKey } from './key.ts'

const pki = testPki()
const argus = pki.service('argus')
const ARGUS = { key: parseAgentKey(argus.keyPem), chainDer: argus.chainDer }

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-identity-'))
})
afterEach(() => rm(folder, { recursive: true }))

test('nothing is stored before the first identity', async () => {
  const files = identityFiles(folder)
  expect(await files.read()).toBeUndefined()
  expect(await files.readPending()).toBeUndefined()
  await files.dropPending()
})

test('key and chain come back from one file that only its owner may read', async () => {
  const files = identityFiles(folder)
  await files.write(ARGUS)
  const read = await files.read()
  expect(read?.key.publicKey.spkiSha256Hex).toBe(ARGUS.key.publicKey.spkiSha256Hex)
  expect(read?.chainDer.map((der) => Buffer.from(der))).toEqual(argus.chainDer.map((der) => Buffer.from(der)))
  expect((await stat(files.path)).mode & 0o777).toBe(0o600)
  expect(await readdir(folder)).toEqual(['identity.pem'])
})

test('the pending key is on the disk before it is handed out, and stays the same until it is dropped', async () => {
  const files = identityFiles(folder)
  const first = await files.pendingKey()
  expect((await stat(join(folder, 'pending-key.pem'))).mode & 0o777).toBe(0o600)
  expect((await identityFiles(folder).pendingKey()).publicKey.spkiSha256Hex).toBe(first.publicKey.spkiSha256Hex)
  await files.dropPending()
  expect((await files.pendingKey()).publicKey.spkiSha256Hex).not.toBe(first.publicKey.spkiSha256Hex)
})

const refused: readonly { name: string; damage: (path: string) => Promise<void>; code: string }[] = [
  { name: 'a truncated file', damage: (path) => truncate(path, 700), code: 'identity_file_invalid' },
  { name: 'an empty file', damage: (path) => truncate(path, 0), code: 'identity_file_invalid' },
  { name: 'a key without a certificate', damage: (path) => truncate(path, 241), code: 'identity_file_invalid' },
  {
    name: 'a certificate without a key',
    damage: (path) => writeFile(path, argus.chainPem),
    code: 'identity_file_invalid',
  },
  { name: 'a key on another curve', damage: (path) => writeFile(path, p384Pem()), code: 'identity_file_invalid' },
  { name: 'a file that others may read', damage: (path) => chmod(path, 0o640), code: 'secret_permissions' },
]
for (const { name, damage, code } of refused) {
  test(`${name} is refused`, async () => {
    const files = identityFiles(folder)
    await files.write(ARGUS)
    await damage(files.path)
    await expect(files.read()).rejects.toMatchObject({ code })
  })
}

test('kill -9 during a write leaves a pair that belongs together', async () => {
  const others = await Promise.all([generateAgentKey(), generateAgentKey()])
  const pairs = others.map((key, at) => {
    const leaf = pki.service('argus', { instance: `instance0000000${at}` })
    return { keyPem: leaf.keyPem, certificates: leaf.chainDer.map((der) => Buffer.from(der).toString('base64')), key }
  })
  const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  const script = `
    import { identityFiles } from ${module('./identity-file.ts')}
    import { parseAgentKey } from ${module('./key.ts')}
    const pairs = ${JSON.stringify(pairs.map(({ keyPem, certificates }) => ({ keyPem, certificates })))}
    const files = identityFiles(${JSON.stringify(folder)})
    for (let n = 0; ; n++) {
      const { keyPem, certificates } = pairs[n % 2]
      await files.write({ key: parseAgentKey(keyPem), chainDer: certificates.map((one) => Buffer.from(one, 'base64')) })
      if (n === 0) process.stdout.write('writing')
    }`
  for (let round = 0; round < 6; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = new Promise((resolve) => child.once('exit', resolve))
    await new Promise((resolve) => child.stdout.once('data', resolve))
    await sleep(3 + round * 5)
    child.kill('SIGKILL')
    await exited
    const read = await identityFiles(folder).read()
    const pem = await readFile(join(folder, 'identity.pem'), 'utf8')
    const whole = pairs.find(({ keyPem }) => pem.startsWith(keyPem))
    expect(whole?.certificates).toEqual(read?.chainDer.map((der) => Buffer.from(der).toString('base64')))
  }
})

function p384Pem(): string {
  return testPki({ curve: 'P-384' }).root.keyPem + argus.chainPem
}
