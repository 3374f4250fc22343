import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { memorySigner } from '@vcc/keys'
import { buildCsr, decodeCertificate, decodePem, ekuOid, encodePem, uriIdentityOf, validateChain } from '@vcc/x509'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { many, query } from '../database/unit.ts'
import { type TestInstallation, testInstallation } from '../testing/installation.ts'
import { externalBroker } from './external.ts'

let place: TestInstallation
let folder: string
let written: string[]
beforeEach(async () => {
  place = await testInstallation()
  folder = join(place.config.data, '..', 'broker')
  written = []
})
afterEach(() => place[Symbol.asyncDispose]())

const open = () =>
  externalBroker(
    { address: { host: '127.0.0.1', port: 8883 }, folder },
    { ...place, onWritten: ({ file, serialHex }) => void written.push(`${file} ${serialHex}`) },
  )
const modeOf = async (path: string) => (await stat(path)).mode & 0o777
const leafIn = async (name: string) => {
  const chain = decodePem(await readFile(join(folder, name), 'utf8'), 'CERTIFICATE')
  const anchors = [place.authorities.root('mesh-root').certificate]
  return validateChain(chain, { anchors, at: place.now(), eku: ekuOid('1.3.6.1.4.1.55555', 'broker') }).leaf
}
async function request(name = 'broker.csr'): Promise<string> {
  const signer = await memorySigner('broker', 'P-256')
  await writeFile(join(folder, name), encodePem('CERTIFICATE REQUEST', await buildCsr(signer)))
  return signer.publicKey.spkiSha256Hex
}

test('the certificate and its key lie in one file that nobody else reads', async () => {
  const broker = open()
  await broker.tend()
  expect(await readdir(folder)).toEqual(['broker.pem'])
  expect([await modeOf(folder), await modeOf(join(folder, 'broker.pem'))]).toEqual([0o700, 0o600])
  const leaf = await leafIn('broker.pem')
  expect(uriIdentityOf(leaf)).toBe('spiffe://vcc.internal/broker')
  expect(decodePem(await readFile(join(folder, 'broker.pem'), 'utf8'), 'PRIVATE KEY')).toHaveLength(1)
  await broker.tend()
  expect(written).toEqual([`${join(folder, 'broker.pem')} ${leaf.serialHex}`])
})

test('a renewal writes a new key and certificate; a file that is gone comes back as it was', async () => {
  const broker = open()
  await broker.tend()
  const first = await leafIn('broker.pem')
  await broker.renewCertificate()
  const second = await leafIn('broker.pem')
  expect(second.serialHex).not.toBe(first.serialHex)
  expect(second.publicKey.spkiSha256Hex).not.toBe(first.publicKey.spkiSha256Hex)
  await rm(join(folder, 'broker.pem'))
  await broker.tend()
  expect((await leafIn('broker.pem')).serialHex).toBe(second.serialHex)
})

test('a request is answered for its key, at each renewal anew, and another one when it comes', async () => {
  await mkdir(folder, { mode: 0o700 })
  const key = await request()
  const broker = open()
  await broker.tend()
  expect((await readdir(folder)).toSorted()).toEqual(['broker.crt', 'broker.csr'])
  expect(await modeOf(join(folder, 'broker.crt'))).toBe(0o644)
  const first = await leafIn('broker.crt')
  expect(first.publicKey.spkiSha256Hex).toBe(key)
  await broker.renewCertificate()
  const second = await leafIn('broker.crt')
  expect([second.publicKey.spkiSha256Hex, second.serialHex === first.serialHex]).toEqual([key, false])
  const other = await request()
  await broker.tend()
  expect((await leafIn('broker.crt')).publicKey.spkiSha256Hex).toBe(other)
})

test('what could not be written is written when it can be, and issued once', async () => {
  await writeFile(folder, 'in the way')
  const broker = open()
  await expect(broker.tend()).rejects.toThrow()
  await rm(folder)
  await mkdir(join(folder, 'broker.pem'), { recursive: true, mode: 0o700 })
  await expect(broker.tend()).rejects.toMatchObject({ code: 'file_unwritable' })
  await rm(join(folder, 'broker.pem'), { recursive: true })
  await broker.tend()
  await leafIn('broker.pem')
  expect(await place.database.read(() => brokerCertificates())).toHaveLength(1)
})

const refused: readonly { name: string; code: string; prepare: () => Promise<void> }[] = [
  {
    name: 'a folder that others may write to',
    code: 'broker_folder_unsafe',
    prepare: () => chmod(folder, 0o770),
  },
  {
    name: 'what is no request',
    code: 'broker_csr_refused',
    prepare: () => writeFile(join(folder, 'broker.csr'), 'hello'),
  },
  {
    name: 'two requests in one file',
    code: 'broker_csr_refused',
    prepare: async () => {
      await request()
      const text = await readFile(join(folder, 'broker.csr'), 'utf8')
      await writeFile(join(folder, 'broker.csr'), text + text)
    },
  },
  {
    name: 'a request that another key signed',
    code: 'broker_csr_refused',
    prepare: async () => {
      await request()
      const [der = new Uint8Array()] = decodePem(
        await readFile(join(folder, 'broker.csr'), 'utf8'),
        'CERTIFICATE REQUEST',
      )
      der.set([(der.at(-1) ?? 0) ^ 1], der.length - 1)
      await writeFile(join(folder, 'broker.csr'), encodePem('CERTIFICATE REQUEST', der))
    },
  },
  {
    name: 'a certificate in its place',
    code: 'broker_csr_refused',
    prepare: () =>
      writeFile(
        join(folder, 'broker.csr'),
        encodePem('CERTIFICATE', place.authorities.root('mesh-root').certificate.der),
      ),
  },
  {
    name: 'a request of a megabyte',
    code: 'file_too_large',
    prepare: () => writeFile(join(folder, 'broker.csr'), 'A'.repeat(1 << 20)),
  },
]
for (const { name, code, prepare } of refused) {
  test(`${name} is refused as ${code}, and nothing is issued`, async () => {
    await mkdir(folder, { mode: 0o700 })
    await prepare()
    await expect(open().tend()).rejects.toMatchObject({ code })
    expect(written).toEqual([])
    expect(await place.database.read(() => brokerCertificates())).toEqual([])
  })
}

function* brokerCertificates() {
  const rows = yield* many(query.selectFrom('certificates').select('der').where('purpose', '=', 'broker'))
  return rows.map(({ der }) => decodeCertificate(der ?? new Uint8Array()).serialHex)
}
