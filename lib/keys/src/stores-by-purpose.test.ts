import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import type { KeyPurpose, KeyStore } from './signer.ts'
import { softwareStore } from './software-store.ts'
import { storesByPurpose } from './stores-by-purpose.ts'
import { refusalOf } from './testing/refusal.ts'

// Any two stores will do: which of them is asked is all that is decided here.
let folder: string
let software: KeyStore
let hsm: KeyStore
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-keys-'))
  software = softwareStore({ folder: join(folder, 'software'), wrappingKey: randomBytes(32) })
  hsm = softwareStore({ folder: join(folder, 'hsm'), wrappingKey: randomBytes(32) })
})

const rootsInHsm = (purpose: KeyPurpose) => (purpose === 'root' ? 'hsm' : 'software')
const ids = async (store: KeyStore) => (await store.list()).map(({ keyId }) => keyId)

test('a key is made where its purpose says, and found wherever it is', async () => {
  const both = storesByPurpose({ software, hsm }, rootsInHsm)
  const [root, issuing] = [await both.generate('root', 'P-256'), await both.generate('issuing', 'P-256')]
  expect(await ids(hsm)).toEqual([root.keyId])
  expect(await ids(software)).toEqual([issuing.keyId])
  expect(await ids(both)).toEqual([issuing.keyId, root.keyId])
  for (const [{ keyId }, purpose] of [
    [root, 'root'],
    [issuing, 'issuing'],
  ] as const) {
    expect((await both.open(keyId, purpose)).keyId).toBe(keyId)
  }
})

test('a key made before the choice changed goes on working', async () => {
  const { keyId } = await software.generate('root', 'P-256')
  const both = storesByPurpose({ software, hsm }, rootsInHsm)
  expect((await both.open(keyId, 'root')).keyId).toBe(keyId)
})

test('a key is deleted where it is', async () => {
  const both = storesByPurpose({ software, hsm }, rootsInHsm)
  const { keyId } = await both.generate('root', 'P-256')
  await both.delete(keyId)
  expect(await ids(both)).toEqual([])
  expect((await refusalOf(both.delete(keyId))).code).toBe('key_not_found')
})

test('a key that its store refuses is not looked for in the other', async () => {
  const { keyId } = await software.generate('root', 'P-256')
  await chmod(join(folder, 'software', `${keyId}.key`), 0o644)
  const both = storesByPurpose({ software, hsm }, rootsInHsm)
  expect((await refusalOf(both.open(keyId, 'root'))).code).toBe('key_permissions')
  expect((await refusalOf(both.open(keyId, 'state'))).code).toBe('key_permissions')
})

test('without a token, nothing is looked for there, and making a key in it is a mistake', async () => {
  const one = storesByPurpose({ software, hsm: undefined }, rootsInHsm)
  expect((await refusalOf(one.open('0'.repeat(32), 'root'))).code).toBe('key_not_found')
  await expect(one.generate('root', 'P-256')).rejects.toThrow(TypeError)
  expect(await one.list()).toEqual([])
})
