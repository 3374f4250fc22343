import { constants, createCipheriv, createPrivateKey, createPublicKey, randomBytes, verify } from 'node:crypto'
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifySignature } from '@vcc/x509'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { KEY_FAILURES, KeyError, type KeyFailure } from './error.ts'
import { generatePrivateKey } from './key-pair.ts'
import { assertKeyMatches } from './match.ts'
import { memorySigner } from './memory-signer.ts'
import { formatSealedKey, parseSealedKey, sealKey, unsealKey } from './sealed-key.ts'
import { KEY_SPECS, type KeyStore } from './signer.ts'
import { softwareStore } from './software-store.ts'
import { refusalOf } from './testing/refusal.ts'

const wrappingKey = randomBytes(32)
const bytes = Buffer.from('to be signed')

let folder: string
let store: KeyStore
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'vcc-keys-')), 'keys')
  store = softwareStore({ folder, wrappingKey })
})

const pathOf = (keyId: string) => join(folder, `${keyId}.key`)

describe('a key', () => {
  for (const spec of KEY_SPECS) {
    test(`${spec} signs after it was made, and after it was opened again`, async () => {
      const made = await store.generate('issuing', spec)
      const opened = await softwareStore({ folder, wrappingKey }).open(made.keyId, 'issuing')
      for (const signer of [made, opened]) {
        const signature = await signer.sign(bytes)
        expect(verifySignature(signer.algorithm, made.publicKey, bytes, signature)).toBe(true)
        expect(signer).toMatchObject({ keyId: made.keyId, purpose: 'issuing', held: 'software' })
      }
    })
  }

  test('ECDSA signatures are DER, RSA signatures as long as the modulus', async () => {
    expect((await (await store.generate('state', 'P-256')).sign(bytes))[0]).toBe(0x30)
    expect((await (await store.generate('state', 'P-384')).sign(bytes))[0]).toBe(0x30)
    expect(await (await store.generate('root', 'RSA-3072')).sign(bytes)).toHaveLength(384)
  })

  test('is one file that only its owner may use, and that does not contain it', async () => {
    const { keyId } = await store.generate('root', 'P-256')
    expect(await readdir(folder)).toEqual([`${keyId}.key`])
    expect((await stat(pathOf(keyId))).mode & 0o777).toBe(0o600)
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    const file = JSON.parse(await readFile(pathOf(keyId), 'utf8'))
    expect(Object.keys(file)).toEqual(['version', 'keyId', 'purpose', 'spki', 'wrappingKeyId', 'nonce', 'ciphertext'])
  })

  test('is sealed with another nonce each time', async () => {
    const privateKey = await generatePrivateKey('P-256')
    const seal = () => sealKey(privateKey, { keyId: 'a', purpose: 'root' }, wrappingKey)
    expect(Buffer.from(seal().nonce).equals(seal().nonce)).toBe(false)
  })

  test('does not show its private half', async () => {
    const signer = await store.generate('root', 'P-256')
    expect(JSON.stringify(signer)).not.toMatch(/PRIVATE|privateKey/)
    expect('privateKeyPem' in signer).toBe(false)
  })
})

describe('the store', () => {
  test('without its first key is empty', async () => expect(await store.list()).toEqual([]))

  test('lists its keys by id without a wrapping key, and nothing else in the folder', async () => {
    const made = [await store.generate('root', 'P-256'), await store.generate('tsa', 'P-384')]
    await writeFile(join(folder, 'README.key'), '')
    await writeFile(join(folder, `.${made[0]?.keyId}.key.001122334455.tmp`), '')
    const listed = await softwareStore({ folder, wrappingKey: randomBytes(32) }).list()
    const expected = made.map(({ keyId, purpose, publicKey }) => ({
      keyId,
      purpose,
      spkiDer: publicKey.spkiDer,
      held: 'software',
    }))
    expect(listed.map((key) => ({ ...key, spkiDer: Buffer.from(key.spkiDer).toString('hex') }))).toEqual(
      expected
        .toSorted((a, b) => (a.keyId < b.keyId ? -1 : 1))
        .map((key) => ({ ...key, spkiDer: Buffer.from(key.spkiDer).toString('hex') })),
    )
  })

  test('forgets a key that is deleted', async () => {
    const { keyId } = await store.generate('root', 'P-256')
    await store.delete(keyId)
    expect(await readdir(folder)).toEqual([])
    expect((await refusalOf(store.open(keyId, 'root'))).code).toBe('key_not_found')
  })

  test('keeps its own copy of the wrapping key', async () => {
    const mine = randomBytes(32)
    const other = softwareStore({ folder, wrappingKey: mine })
    mine.fill(0)
    const { keyId } = await other.generate('root', 'P-256')
    expect((await refusalOf(softwareStore({ folder, wrappingKey: mine }).open(keyId, 'root'))).code).toBe(
      'key_wrapping_wrong',
    )
  })

  for (const length of [0, 16, 31, 33, 64]) {
    test(`a wrapping key of ${length} bytes is a mistake`, () => {
      expect(() => softwareStore({ folder, wrappingKey: new Uint8Array(length) })).toThrow(TypeError)
    })
  }
})

/** Edits the JSON of a key file and writes it back in the form the store writes. */
async function edit(keyId: string, change: Readonly<Record<string, unknown>>): Promise<void> {
  const file = JSON.parse(await readFile(pathOf(keyId), 'utf8'))
  await writeFile(pathOf(keyId), `${JSON.stringify({ ...file, ...change })}\n`)
}

const OTHER_ID = '0123456789abcdef0123456789abcdef'

/** Each gets a store with the P-256 key `keyId` for `issuing`; what it returns is opened, or is the refusal itself. */
const refusals: readonly { name: string; fails: KeyFailure; run: (keyId: string) => Promise<unknown> }[] = [
  { name: 'an id that is a path', fails: 'key_id_invalid', run: () => store.open('../../etc/passwd', 'issuing') },
  { name: 'an id in capitals', fails: 'key_id_invalid', run: (keyId) => store.open(`${keyId.slice(1)}A`, 'issuing') },
  { name: 'an empty id', fails: 'key_id_invalid', run: () => store.delete('') },
  { name: 'an id nobody has', fails: 'key_not_found', run: () => store.open(OTHER_ID, 'issuing') },
  { name: 'deleting an id nobody has', fails: 'key_not_found', run: () => store.delete(OTHER_ID) },
  {
    name: 'a file that others may read',
    fails: 'key_permissions',
    run: async (keyId) => {
      await chmod(pathOf(keyId), 0o640)
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'a file that points in a circle',
    fails: 'key_unreadable',
    run: async () => {
      await symlink(pathOf(OTHER_ID), pathOf(OTHER_ID))
      await store.open(OTHER_ID, 'issuing')
    },
  },
  {
    name: 'a folder that is a file',
    fails: 'key_unreadable',
    run: (keyId) => softwareStore({ folder: pathOf(keyId), wrappingKey }).list(),
  },
  {
    name: 'a folder in the place of the file',
    fails: 'key_malformed',
    run: async () => {
      await mkdir(pathOf(OTHER_ID), { mode: 0o700 })
      await store.open(OTHER_ID, 'issuing')
    },
  },
  {
    name: 'an empty file',
    fails: 'key_malformed',
    run: async (keyId) => {
      await writeFile(pathOf(keyId), '')
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'a truncated file',
    fails: 'key_malformed',
    run: async (keyId) => {
      await writeFile(pathOf(keyId), (await readFile(pathOf(keyId))).subarray(0, 200))
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'a file of 20 KiB',
    fails: 'key_malformed',
    run: async (keyId) => {
      await edit(keyId, { ciphertext: 'A'.repeat(20_000) })
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'a malformed file in the list',
    fails: 'key_malformed',
    run: async (keyId) => {
      await writeFile(pathOf(keyId), 'null\n')
      await store.list()
    },
  },
  {
    name: 'a nonce of 16 bytes',
    fails: 'key_malformed',
    run: async (keyId) => {
      await edit(keyId, { nonce: Buffer.alloc(16).toString('base64') })
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'a ciphertext that is all tag',
    fails: 'key_malformed',
    run: async (keyId) => {
      await edit(keyId, { ciphertext: Buffer.alloc(16).toString('base64') })
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'an additional member',
    fails: 'key_malformed',
    run: async (keyId) => {
      await edit(keyId, { comment: 'mine' })
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'a purpose nobody knows',
    fails: 'key_malformed',
    run: async (keyId) => {
      await edit(keyId, { purpose: 'everything' })
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'a version nobody knows',
    fails: 'key_version_unknown',
    run: async (keyId) => {
      await edit(keyId, { version: 2 })
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'another key of the store under this name',
    fails: 'key_swapped',
    run: async (keyId) => {
      const other = await store.generate('issuing', 'P-256')
      await copyFile(pathOf(other.keyId), pathOf(keyId))
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'a file that was renamed',
    fails: 'key_swapped',
    run: async (keyId) => {
      await rename(pathOf(keyId), pathOf(OTHER_ID))
      await store.open(OTHER_ID, 'issuing')
    },
  },
  {
    name: 'a file that was renamed, its key id too',
    fails: 'key_tampered',
    run: async (keyId) => {
      await rename(pathOf(keyId), pathOf(OTHER_ID))
      await edit(OTHER_ID, { keyId: OTHER_ID })
      await store.open(OTHER_ID, 'issuing')
    },
  },
  { name: 'opened for another purpose', fails: 'key_purpose_mismatch', run: (keyId) => store.open(keyId, 'state') },
  {
    name: 'a purpose that was changed in the file, opened for the one it had',
    fails: 'key_purpose_mismatch',
    run: async (keyId) => {
      await edit(keyId, { purpose: 'state' })
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'a purpose that was changed in the file, opened for the new one',
    fails: 'key_tampered',
    run: async (keyId) => {
      await edit(keyId, { purpose: 'state' })
      await store.open(keyId, 'state')
    },
  },
  {
    name: 'the public key of another',
    fails: 'key_tampered',
    run: async (keyId) => {
      const other = await memorySigner('issuing', 'P-256')
      await edit(keyId, { spki: Buffer.from(other.publicKey.spkiDer).toString('base64') })
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'the ciphertext of another',
    fails: 'key_tampered',
    run: async (keyId) => {
      const other = await store.generate('issuing', 'P-256')
      const { nonce, ciphertext } = JSON.parse(await readFile(pathOf(other.keyId), 'utf8'))
      await edit(keyId, { nonce, ciphertext })
      await store.open(keyId, 'issuing')
    },
  },
  {
    name: 'another wrapping key',
    fails: 'key_wrapping_wrong',
    run: (keyId) => softwareStore({ folder, wrappingKey: randomBytes(32) }).open(keyId, 'issuing'),
  },
  {
    name: 'the certificate of another key',
    fails: 'key_certificate_mismatch',
    run: async (keyId) => assertKeyMatches(await store.open(keyId, 'issuing'), await memorySigner('issuing', 'P-256')),
  },
  {
    name: 'a signer that claims a public key it does not have',
    fails: 'key_certificate_mismatch',
    run: async (keyId) => {
      const { publicKey } = await store.open(keyId, 'issuing')
      await assertKeyMatches({ ...(await memorySigner('issuing', 'P-256')), publicKey }, { publicKey })
    },
  },
  {
    name: 'a signature asked for past its deadline',
    fails: 'signer_deadline',
    run: async (keyId) => (await store.open(keyId, 'issuing')).sign(bytes, { signal: AbortSignal.abort() }),
  },
  {
    name: 'a deadline that passes in the thread pool',
    fails: 'signer_deadline',
    run: async () => {
      const stop = new AbortController()
      const signing = (await memorySigner('root', 'RSA-3072')).sign(bytes, { signal: stop.signal })
      stop.abort(new Error('too late'))
      return signing
    },
  },
  {
    name: 'something that is not bytes',
    fails: 'signer_failed',
    run: async (keyId) => (await store.open(keyId, 'issuing')).sign(JSON.parse('5')),
  },
]

describe('refused', () => {
  for (const { name, fails, run } of refusals) {
    test(`with ${fails}: ${name}`, async () => {
      const { keyId } = await store.generate('issuing', 'P-256')
      expect((await refusalOf(run(keyId))).code).toBe(fails)
    })
  }

  test('every failure but those of a token has a case', () => {
    const seen = new Set<string>(refusals.map(({ fails }) => fails))
    expect(Object.keys(KEY_FAILURES).filter((code) => !seen.has(code) && !code.startsWith('hsm_'))).toEqual([])
  })

  test('what others may read is refused with what to type', async () => {
    const { keyId } = await store.generate('root', 'P-256')
    await chmod(pathOf(keyId), 0o644)
    expect((await refusalOf(store.open(keyId, 'root'))).hint).toBe(`chmod 600 ${pathOf(keyId)}`)
  })
})

describe('a file with one byte changed', () => {
  let text: Buffer
  let keyId: string
  let home: string

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'vcc-keys-'))
    keyId = (await softwareStore({ folder: home, wrappingKey }).generate('issuing', 'P-256')).keyId
    text = await readFile(join(home, `${keyId}.key`))
  })

  /** As the store opens it, without the file in between. */
  function open(changed: Buffer): KeyFailure | 'opened' {
    try {
      const sealed = parseSealedKey(changed.toString('utf8'), 'a.key')
      if (sealed.keyId !== keyId) return 'key_swapped'
      if (sealed.purpose !== 'issuing') return 'key_purpose_mismatch'
      unsealKey(sealed, wrappingKey)
      return 'opened'
    } catch (error) {
      if (error instanceof KeyError) return error.code
      throw error
    }
  }

  test('opens unchanged', () => expect(open(text)).toBe('opened'))

  test('is always a KeyError: each bit, a blank, a digit, and each byte left out or doubled', () => {
    const codes = new Set<string>()
    for (let index = 0; index < text.length; index++) {
      const original = text[index] ?? 0
      const values = [0, 1, 2, 3, 4, 5, 6, 7].map((bit) => original ^ (1 << bit))
      for (const value of [...values, 0x20, 0x30, 0x41]) {
        if (value === original) continue
        const changed = Buffer.from(text)
        changed[index] = value
        codes.add(open(changed))
      }
      codes.add(open(Buffer.concat([text.subarray(0, index), text.subarray(index + 1)])))
      codes.add(open(Buffer.concat([text.subarray(0, index + 1), text.subarray(index)])))
    }
    expect([...codes].toSorted()).toEqual([
      'key_malformed',
      'key_swapped',
      'key_tampered',
      'key_version_unknown',
      'key_wrapping_wrong',
    ])
  })

  test('through the store, too', async () => {
    const path = join(home, `${keyId}.key`)
    for (let index = 0; index < text.length; index += 7) {
      const changed = Buffer.from(text)
      changed[index] = (text[index] ?? 0) ^ 1
      await writeFile(path, changed)
      await refusalOf(softwareStore({ folder: home, wrappingKey }).open(keyId, 'issuing'))
    }
    await writeFile(path, text)
    await softwareStore({ folder: home, wrappingKey }).open(keyId, 'issuing')
  })

  test('a private key that is not the public one is refused, even sealed by us', async () => {
    const sealed = sealKey(await generatePrivateKey('P-256'), { keyId, purpose: 'issuing' }, wrappingKey)
    const { publicKey } = await memorySigner('issuing', 'P-256')
    const pkcs8 = (await generatePrivateKey('P-256')).export({ type: 'pkcs8', format: 'der' })
    const cipher = createCipheriv('aes-256-gcm', wrappingKey, sealed.nonce).setAAD(
      Buffer.concat([Buffer.from(`vcc-key 1\n${keyId}\nissuing\n`), publicKey.spkiDer]),
    )
    const ciphertext = Buffer.concat([cipher.update(pkcs8), cipher.final(), cipher.getAuthTag()])
    expect(open(Buffer.from(formatSealedKey({ ...sealed, spkiDer: publicKey.spkiDer, ciphertext })))).toBe(
      'key_swapped',
    )
  })
})

describe('a key in memory', () => {
  test('signs, matches its own PEM, and is another each time', async () => {
    const signer = await memorySigner('api', 'P-256')
    const spki = createPublicKey(createPrivateKey(signer.privateKeyPem())).export({ type: 'spki', format: 'der' })
    expect(spki.equals(signer.publicKey.spkiDer)).toBe(true)
    expect(signer.held).toBe('memory')
    await assertKeyMatches(signer, signer)
    expect((await memorySigner('api', 'P-256')).keyId).not.toBe(signer.keyId)
  })

  test('does not show its private half unless asked', async () => {
    expect(JSON.stringify(await memorySigner('api', 'P-256'))).not.toContain('PRIVATE')
  })

  test('of RSA signs as openssl expects: PSS, SHA-384, salt of 48 octets', async () => {
    const signer = await memorySigner('root', 'RSA-3072')
    const key = { key: signer.publicKey.keyObject, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }
    expect(verify('sha384', bytes, key, await signer.sign(bytes))).toBe(true)
  })
})
