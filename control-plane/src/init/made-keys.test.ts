import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openPkcs11Store } from '@vcc/keys'
import { CliError, readSecretText } from '@vcc/runtime'
import { hasSoftHsm, type SoftHsmToken, softHsmToken } from '@vcc/testkit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ControlConfig, parseControlConfig } from '../config.ts'
import { openKeys } from '../keys/open.ts'
import { init } from './init.ts'
import { checkOptions } from './options.ts'
import { pathsOf } from './paths.ts'

const OPTIONS = checkOptions({ statusUrl: 'http://pki.example.org', rootKey: 'P-384', outageBudgetMs: 72 * 3_600_000 })

describe.skipIf(!hasSoftHsm)('init with keys in a token', { timeout: 180_000 }, () => {
  let folder: string
  let token: SoftHsmToken
  let config: ControlConfig
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vcc-init-'))
    token = await softHsmToken(folder)
    config = configOf(token.config)
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const configOf = (more: readonly string[]) =>
    parseControlConfig(
      [
        `data: ${folder}/data`,
        'secrets:',
        `  database_key_file: ${folder}/secrets/database.key`,
        `  key_store_key_file: ${folder}/secrets/key-store.key`,
        ...more,
      ].join('\n'),
    )
  const run = (progress: (what: string) => void = () => {}) =>
    init(OPTIONS, config, { now: () => new Date(), progress })
  const journal = () => join(`${config.data}.partial`, 'made-keys')
  const keysInToken = async () => (await token.privateKeys()).map(({ ID }) => ID ?? '')

  test('makes ten keys there and none in files; run again, it makes none', async () => {
    expect((await run()).created).toBe(true)
    const made = await keysInToken()
    expect(made).toHaveLength(10)
    expect(await readdir(pathsOf(config.data).keys)).toEqual([])
    expect(await readdir(config.data)).not.toContain('made-keys')
    expect((await run()).created).toBe(false)
    expect(await keysInToken()).toEqual(made)
  })

  test('that fails leaves no key behind', async () => {
    const failing = run((what) => {
      if (what.startsWith('state signers')) throw new Error('the disk is full')
    })
    await expect(failing).rejects.toThrow('the disk is full')
    expect(await keysInToken()).toEqual([])
    expect((await run()).created).toBe(true)
    expect(await keysInToken()).toHaveLength(10)
  })

  test('deletes the keys of one that was killed, and only those', async () => {
    await mkdir(join(folder, 'secrets'))
    await writeFile(config.secrets.key_store_key_file, '7'.repeat(64), { mode: 0o600 })
    const theirs = await openKeys(config, join(folder, 'elsewhere'))
    await using _ = theirs
    const [kept, left] = [await theirs.generate('root', 'P-384'), await theirs.generate('root', 'P-384')]
    await mkdir(`${config.data}.partial`)
    await writeFile(journal(), `${left.keyId}\n${'0'.repeat(16)}`) // the second line was cut off by the kill
    await run()
    const made = await keysInToken()
    expect(made).toHaveLength(11)
    expect(made).toContain(kept.keyId)
    expect(made).not.toContain(left.keyId)
  })

  test('does not forget keys that it cannot delete', async () => {
    await mkdir(`${config.data}.partial`)
    await writeFile(journal(), `${'0'.repeat(32)}\n`)
    const withToken = config
    config = configOf([])
    const refusal = await run().catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(CliError)
    expect(refusal).toMatchObject({ code: 'hsm_keys_left', message: /left 1 keys in a token/ })
    expect(await readFile(journal(), 'utf8')).toContain('0'.repeat(32))
    config = withToken
    expect((await run()).created).toBe(true)
  })

  test('without its token makes nothing', async () => {
    await token.takeOut()
    await expect(run()).rejects.toMatchObject({ name: 'KeyError', code: 'hsm_token_missing' })
    await expect(readdir(config.data)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('refuses a PIN file that others may read', async () => {
    await rm(token.pinFile)
    await writeFile(token.pinFile, '482913\n', { mode: 0o644 })
    await expect(run()).rejects.toMatchObject({ code: 'secret_permissions' })
  })

  test('a token with our keys is no installation without its database', async () => {
    await run()
    await rm(config.data, { recursive: true })
    await run()
    expect(await keysInToken()).toHaveLength(20)
    const { hsm } = config.keys
    if (hsm === undefined) throw new Error('there is a token')
    await using store = await openPkcs11Store(
      {
        ...hsm,
        label: hsm.token,
        readPin: () => readSecretText(hsm.pin_file),
        timeoutMs: hsm.timeout.ms,
        keepAliveMs: hsm.keep_alive.ms,
      },
      { events: { started: () => {}, lost: () => {}, unavailable: () => {}, operation: () => {} } },
    )
    expect(await store.list()).toHaveLength(20)
  })
})
