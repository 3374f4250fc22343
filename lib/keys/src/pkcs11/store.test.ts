import { X509Certificate } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { assembleCertificate, buildTbs, encodeName, encodePem, verifySignature } from '@vcc/x509'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KeyFailure } from '../error.ts'
import { assertKeyMatches } from '../match.ts'
import { memorySigner } from '../memory-signer.ts'
import { KEY_SPECS } from '../signer.ts'
import { refusalOf } from '../testing/refusal.ts'
import { hasSoftHsm, listener, type SoftHsm, softHsm } from '../testing/softhsm.ts'
import { drawKeyId } from './key-id.ts'
import { openPkcs11Store, type Pkcs11Store } from './store.ts'

const bytes = Buffer.from('to be signed')
const SLOW = 180_000

describe.skipIf(!hasSoftHsm)('keys in SoftHSM', { timeout: SLOW }, () => {
  let hsm: SoftHsm
  let store: Pkcs11Store
  beforeAll(async () => {
    hsm = await softHsm()
    store = await openPkcs11Store(hsm.options, listener())
  }, SLOW)
  afterAll(async () => {
    await store[Symbol.asyncDispose]()
    await hsm[Symbol.asyncDispose]()
  }, SLOW)

  for (const spec of KEY_SPECS) {
    test(`${spec} signs after it was made, and after another process opened it again`, async () => {
      const made = await store.generate('issuing', spec)
      await using later = await openPkcs11Store(hsm.options, listener())
      const opened = await later.open(made.keyId, 'issuing')
      expect(Buffer.from(opened.publicKey.spkiDer).equals(made.publicKey.spkiDer)).toBe(true)
      for (const signer of [made, opened]) {
        const signature = await signer.sign(bytes)
        expect(verifySignature(signer.algorithm, made.publicKey, bytes, signature)).toBe(true)
        expect(signer).toMatchObject({ keyId: made.keyId, purpose: 'issuing', held: 'hsm' })
        await assertKeyMatches(signer, made)
      }
    })
  }

  test('ECDSA signatures are minimal DER, whatever their leading octets', async () => {
    const signer = await store.generate('state', 'P-256')
    const lengths = new Set<number>()
    for (let round = 0; round < 600; round++) {
      const message = Buffer.from(`message ${round}`)
      const signature = await signer.sign(message)
      lengths.add(signature.length)
      expect(verifySignature(signer.algorithm, signer.publicKey, message, signature)).toBe(true)
    }
    // r and s with and without a leading zero; both kinds turn up with a probability of all but 2^-500
    expect(lengths.size).toBeGreaterThan(2)
  })

  test('a certificate signed in the token is one to openssl', async () => {
    const root = await store.generate('root', 'RSA-3072')
    const notBefore = new Date(Math.floor(Date.now() / 1000) * 1000 - 300_000)
    const tbs = buildTbs({
      profile: 'mesh-root',
      serialHex: '40'.repeat(20),
      issuer: 'self',
      subject: encodeName([{ type: 'CN', value: 'Root in a token' }]),
      publicKey: root.publicKey,
      notBefore,
      notAfter: new Date(notBefore.getTime() + 86_400_000 * 365),
      oidArc: '1.3.6.1.4.1.55555',
    })
    const certificate = assembleCertificate(tbs, root.algorithm, await root.sign(tbs.der))
    const file = join(hsm.folder, 'root.pem')
    await writeFile(file, encodePem('CERTIFICATE', certificate))
    expect(await hsm.openssl('verify', '-x509_strict', '-check_ss_sig', '-CAfile', file, file)).toBe(`${file}: OK\n`)
    expect(new X509Certificate(certificate).verify(root.publicKey.keyObject)).toBe(true)
  })

  test('other people’s tools see it as sensitive and never extractable, by our id and label', async () => {
    const { keyId } = await store.generate('tsa', 'P-384')
    const all = (await hsm.pkcs11Tool('--list-objects', '--type', 'privkey')).split(/\n(?=\S)/)
    const [seen = '', ...others] = all.filter((one) => one.includes(keyId)) // it does not select by id itself
    expect(others).toEqual([])
    expect(seen).toMatch(/Private Key Object; EC/)
    expect(seen).toContain(`label:      tsa-${keyId}`)
    expect(seen).toContain(`ID:         ${keyId}`)
    expect(seen).toMatch(/Access: +sensitive, always sensitive, never extractable, local/)
    expect(seen).toMatch(/Usage: +sign\n/)
  })

  test('the list has ours by id, with what protects them; a foreign key in the token is nobody of ours', async () => {
    await using other = await softHsm()
    await using fresh = await openPkcs11Store(other.options, listener())
    expect(await fresh.list()).toEqual([])
    const made = [await fresh.generate('root', 'P-384'), await fresh.generate('state', 'P-256')]
    for (const id of ['01', 'ab'.repeat(16)]) {
      await other.pkcs11Tool('--keypairgen', '--key-type', 'EC:prime256v1', '--id', id)
    }
    const listed = (await fresh.list()).map(({ spkiDer, ...rest }) => ({
      ...rest,
      spki: Buffer.from(spkiDer).toString('hex'),
    }))
    expect(listed).toEqual(
      made
        .toSorted((a, b) => (a.keyId < b.keyId ? -1 : 1))
        .map(({ keyId, purpose, publicKey }) => ({
          keyId,
          purpose,
          held: 'hsm',
          spki: Buffer.from(publicKey.spkiDer).toString('hex'),
          protection: PROTECTED,
        })),
    )
  })

  test('a key that is deleted is gone, both halves', async () => {
    const signer = await store.generate('ocsp', 'P-256')
    await signer.sign(bytes)
    await store.delete(signer.keyId)
    expect((await refusalOf(store.open(signer.keyId, 'ocsp'))).code).toBe('key_not_found')
    expect((await refusalOf(signer.sign(bytes))).code).toBe('key_not_found')
    expect(await hsm.pkcs11Tool('--list-objects')).not.toContain(signer.keyId)
  })

  test('the id of a key is told before it is made', async () => {
    const told: string[] = []
    const beforeGenerate = async (keyId: string) => void told.push(keyId)
    await using second = await openPkcs11Store(hsm.options, { ...listener(), beforeGenerate })
    const { keyId } = await second.generate('audit', 'P-256')
    expect(told).toEqual([keyId])
  })

  test('making keys does not disturb signing', async () => {
    const signer = await store.generate('issuing', 'P-256')
    let making = true
    const made = Promise.all([store.generate('feed', 'P-256'), store.generate('root', 'RSA-3072')]).finally(() => {
      making = false
    })
    let signed = 0
    while (making) {
      const message = Buffer.from(`message ${signed++}`)
      expect(verifySignature(signer.algorithm, signer.publicKey, message, await signer.sign(message))).toBe(true)
    }
    await made
    expect(signed).toBeGreaterThan(0)
  })

  /** Each returns the work that is to be refused. */
  const refusals: readonly { name: string; fails: KeyFailure; run: () => Promise<unknown> }[] = [
    { name: 'an id that is none', fails: 'key_id_invalid', run: () => store.open('../x', 'root') },
    { name: 'deleting an id that is none', fails: 'key_id_invalid', run: () => store.delete('') },
    { name: 'an id nobody drew', fails: 'key_not_found', run: () => store.open('0'.repeat(32), 'root') },
    { name: 'an id nobody has', fails: 'key_not_found', run: () => store.open(drawKeyId('root'), 'root') },
    { name: 'deleting an id nobody has', fails: 'key_not_found', run: () => store.delete(drawKeyId('root')) },
    {
      name: 'opened for another purpose',
      fails: 'key_purpose_mismatch',
      run: async () => store.open((await store.generate('issuing', 'P-256')).keyId, 'state'),
    },
    {
      name: 'a key that can be extracted',
      fails: 'hsm_attributes_refused',
      run: async () => {
        const keyId = drawKeyId('issuing')
        await hsm.pkcs11Tool(
          '--keypairgen',
          '--key-type',
          'EC:prime256v1',
          '--id',
          keyId,
          '--extractable',
          '--usage-sign',
        )
        await store.open(keyId, 'issuing')
      },
    },
    {
      name: 'a curve we do not use',
      fails: 'hsm_key_refused',
      run: async () => {
        const keyId = drawKeyId('issuing')
        await hsm.pkcs11Tool('--keypairgen', '--key-type', 'EC:secp521r1', '--id', keyId, '--sensitive', '--usage-sign')
        await store.open(keyId, 'issuing')
      },
    },
    {
      name: 'a key whose public half is gone',
      fails: 'hsm_key_refused',
      run: async () => {
        const { keyId } = await store.generate('issuing', 'P-256')
        await hsm.pkcs11Tool('--delete-object', '--type', 'pubkey', '--id', keyId)
        await store.open(keyId, 'issuing')
      },
    },
    {
      name: 'two private keys of one id',
      fails: 'hsm_key_refused',
      run: async () => {
        const { keyId } = await store.generate('issuing', 'P-256')
        await hsm.pkcs11Tool(
          '--keypairgen',
          '--key-type',
          'EC:prime256v1',
          '--id',
          keyId,
          '--sensitive',
          '--usage-sign',
        )
        await store.open(keyId, 'issuing')
      },
    },
    {
      name: 'a public half that is not that of the private one, once it signs',
      fails: 'key_certificate_mismatch',
      run: async () => {
        const [one, other] = [await store.generate('issuing', 'P-256'), await memorySigner('issuing', 'P-256')]
        await assertKeyMatches({ ...one, publicKey: other.publicKey }, other)
      },
    },
  ]
  for (const { name, fails, run } of refusals) {
    test(`refused with ${fails}: ${name}`, async () => expect((await refusalOf(run())).code).toBe(fails))
  }
})

const PROTECTED = {
  token: true,
  private: true,
  sensitive: true,
  extractable: false,
  alwaysSensitive: true,
  neverExtractable: true,
  local: true,
  sign: true,
}
