import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { encodePem } from '@vcc/x509'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { setCrlShards } from '../authority/store.ts'
import { change, many, query } from '../database/unit.ts'
import { join as joinMesh } from '../enrolment/join.ts'
import { epochSeconds } from '../epoch.ts'
import { createPublicApp } from '../public-http/app.ts'
import { recordRevocation } from '../revocation/store.ts'
import { newCsr, type TestInstallation, testInstallation } from '../testing/installation.ts'
import { issueDelta, issueFull } from './issue.ts'
import { isLate } from './routes.ts'
import { crlUrl, shardOf } from './scope.ts'
import { type CrlKind, crlMarks, crlRow, scopeState } from './store.ts'
import { createCrlUpkeep } from './upkeep.ts'

const run = promisify(execFile)
const HOUR = 3600
const intervals = { fullSeconds: 24 * HOUR, deltaSeconds: HOUR }
let place: TestInstallation
let folder: string
beforeAll(async () => {
  place = await testInstallation()
  folder = await mkdtemp(join(tmpdir(), 'vcc-crl-'))
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const services = () => place.authorities.issuing('services-ca')
const deps = () => ({ ...place.enrol, intervals })

async function leafOf(service = 'argus') {
  const request = {
    token: await place.token(service),
    csr: await newCsr(),
    addresses: [],
    stateFormats: [1],
    agentVersion: '0.1.0',
    requestId: 'test',
  }
  return (await joinMesh(request, place.enrol)).issued
}

function revoke({ issuingCaId, certificate }: Awaited<ReturnType<typeof leafOf>>, reason = 'superseded' as const) {
  const at = epochSeconds(place.enrol.now())
  return place.database.runUnit(() =>
    recordRevocation(
      { issuing_ca_id: issuingCaId, serial_number: certificate.serialHex },
      { reason, revokedAt: at, invalidityAt: null, recordedAt: at, incident: null, recordedBy: 'test' },
    ),
  )
}

const served = async (kind: CrlKind, shard = 0) => {
  const row = await place.database.read(() => crlRow({ caId: services().caId, shard }, kind))
  if (row === undefined) throw new Error(`no ${kind} CRL is served`)
  return row
}

async function text(kind: CrlKind, shard = 0): Promise<string> {
  const file = join(folder, `${kind}-${shard}.pem`)
  await writeFile(file, encodePem('X509 CRL', (await served(kind, shard)).der))
  const ca = join(folder, 'ca.pem')
  await writeFile(ca, encodePem('CERTIFICATE', services().certificate.der))
  const { stdout, stderr } = await run('openssl', ['crl', '-in', file, '-noout', '-text', '-CAfile', ca])
  expect(stderr).toContain('verify OK')
  return stdout
}

const serialLine = (serialHex: string) => `Serial Number: ${serialHex.toUpperCase()}`

describe('what is issued', () => {
  test('ca-38 ca-40 the first CRL is complete, empty, valid for its interval and the outage budget, and has a delta', async () => {
    const mark = await issueFull(services(), 0, deps())
    expect(mark).toMatchObject({ kind: 'full', base_number: null })
    expect((mark?.next_update ?? 0) - (mark?.this_update ?? 0)).toBe(96 * HOUR)
    const full = await text('full')
    expect(full).toContain('No Revoked Certificates.')
    expect(full).toContain(`URI:${crlUrl({ caId: services().caId, shard: 0 }, 'http://pki.example.org')}`)
    expect(full).toContain('-delta.crl')
    const delta = await served('delta')
    expect(delta.number).toBe(mark?.number)
  })

  test('ca-37 numbers start at the seconds of the clock and grow with every CRL of the scope, of either kind', async () => {
    const before = await served('full')
    expect(before.number).toBeGreaterThanOrEqual(epochSeconds(new Date('2026-01-01')))
    const delta = await issueDelta(services(), 0, deps())
    const full = await issueFull(services(), 0, deps())
    const again = await issueDelta(services(), 0, deps())
    const numbers = [before.number, delta?.number ?? 0, full?.number ?? 0, again?.number ?? 0]
    expect(numbers.toSorted((a, b) => a - b)).toEqual(numbers)
    expect(new Set(numbers).size).toBe(4)
  })

  test('a revocation is on the next delta, and on the next complete CRL', async () => {
    const leaf = await leafOf()
    await revoke(leaf)
    await issueDelta(services(), 0, deps())
    expect(await text('delta')).toContain(serialLine(leaf.certificate.serialHex))
    expect(await text('full')).not.toContain(serialLine(leaf.certificate.serialHex))
    const { number } = await served('full')
    expect(await served('delta')).toMatchObject({ base_number: number, entries: 1 })
    await issueFull(services(), 0, deps())
    expect(await text('full')).toContain(serialLine(leaf.certificate.serialHex))
    // Whoever holds the complete CRL of before learns the same from the delta of now.
    expect(await served('delta')).toMatchObject({ base_number: number, number: (await served('full')).number })
    expect(await text('delta')).toContain(serialLine(leaf.certificate.serialHex))
  })

  test('ca-42 what was revoked and then expired is on one more CRL, and then on none', async () => {
    const leaf = await leafOf()
    await issueFull(services(), 0, deps())
    await revoke(leaf)
    const untilExpiryMs = leaf.certificate.notAfter.getTime() - place.enrol.now().getTime() + 60_000
    place.advance(untilExpiryMs)
    await issueFull(services(), 0, deps())
    expect(await text('full')).toContain(serialLine(leaf.certificate.serialHex))
    place.advance(60_000)
    await issueFull(services(), 0, deps())
    expect(await text('full')).not.toContain(serialLine(leaf.certificate.serialHex))
  })

  test('what proves times or signs code stays on the CRL of its CA, and the CRL says so', async () => {
    const tsa = place.authorities.all().find((one) => one.profile === 'tsa-ca')
    if (tsa === undefined) throw new Error('there is no TSA CA')
    await issueFull(tsa, 0, deps())
    const row = await place.database.read(() => crlRow({ caId: tsa.caId, shard: 0 }, 'full'))
    const parsed = await run('openssl', ['asn1parse', '-inform', 'DER', '-in', await der(row?.der)])
    expect(parsed.stdout).toContain('2.5.29.60')
  })

  test('ca-46 a CA that was revoked goes on signing its CRLs', async () => {
    const revoked = { ...services(), active: false, revoked: true }
    const authorities = { ...place.authorities, all: () => [revoked] }
    const issued: string[] = []
    const events = { issued: ({ kind }: { kind: string }) => void issued.push(kind), failed: () => {} }
    place.advance(25 * HOUR * 1000)
    await createCrlUpkeep({ ...deps(), authorities, events }).tick()
    expect(issued).toEqual(['full'])
  })
})

async function der(bytes: Uint8Array | undefined): Promise<string> {
  const file = join(folder, 'one.der')
  await writeFile(file, bytes ?? new Uint8Array())
  return file
}

describe('two jobs', () => {
  test('ca-37 that race on one number: one wins, and what the other signed is thrown away', async () => {
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => issueFull(services(), 0, deps())))
    const won = outcomes.filter((mark) => mark !== undefined)
    expect(won).toHaveLength(1)
    expect((await served('full')).sha256).toBe(won[0]?.sha256)
    const mixed = await Promise.all([issueFull(services(), 0, deps()), issueDelta(services(), 0, deps())])
    expect(mixed.filter((mark) => mark !== undefined)).toHaveLength(1)
  })

  test('a CRL never goes back, whoever writes it', async () => {
    const back = () =>
      place.database.runUnit(() =>
        change(query.updateTable('crls').set({ number: 1 }).where('issuing_ca_id', '=', services().caId)),
      )
    await expect(back()).rejects.toThrow(/never goes back/)
  })
})

describe('shards', () => {
  test('ca-39 the shard is fixed at issuance; more of them later move no old certificate', async () => {
    const { caId } = services()
    const before = await leafOf()
    await place.database.runUnit(() => setCrlShards(caId, 4))
    await place.authorities.reload()
    const after = await Promise.all(Array.from({ length: 12 }, () => leafOf('covina')))
    const rows = await place.database.read(() =>
      many(query.selectFrom('certificates').select(['serial_number', 'crl_shard']).where('issuing_ca_id', '=', caId)),
    )
    const shards = new Map(rows.map((row) => [row.serial_number, row.crl_shard]))
    expect(shards.get(before.certificate.serialHex)).toBe(0)
    for (const { certificate } of after) {
      const shard = shardOf(certificate.serialHex, 4)
      expect(shards.get(certificate.serialHex)).toBe(shard)
      const [point] = certificate.extensions.crlDistributionPoints ?? []
      expect(point?.fullName).toEqual([{ type: 'uri', value: crlUrl({ caId, shard }, 'http://pki.example.org') }])
    }
    const one = after.find(({ certificate }) => shardOf(certificate.serialHex, 4) > 0)
    if (one === undefined) throw new Error('twelve serials in one shard of four')
    await revoke(one)
    const upkeep = createCrlUpkeep({
      ...deps(),
      authorities: place.authorities,
      events: { issued: () => {}, failed: () => {} },
    })
    await upkeep.tick()
    const shard = shardOf(one.certificate.serialHex, 4)
    expect(await text('full', shard)).toContain(serialLine(one.certificate.serialHex))
    expect(await text('full', shard)).toContain(`/${shard}.crl`)
    await place.database.runUnit(() => setCrlShards(caId, 1))
    await place.authorities.reload()
    place.advance(25 * HOUR * 1000)
    await upkeep.tick()
    const marks = (await place.database.read(crlMarks)).filter(
      (mark) => mark.issuing_ca_id === caId && mark.kind === 'full',
    )
    expect(marks.map((mark) => mark.shard).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3])
    expect(marks.every((mark) => mark.this_update >= epochSeconds(place.enrol.now()) - 60)).toBe(true)
  })
})

describe('upkeep', () => {
  const counted = () => {
    const issued: string[] = []
    const failed: string[] = []
    const upkeep = createCrlUpkeep({
      ...deps(),
      authorities: place.authorities,
      events: {
        issued: ({ issuing_ca_id, kind }) => issued.push(`${place.authorities.byId(issuing_ca_id).name} ${kind}`),
        failed: ({ authority }) => failed.push(authority),
      },
    })
    return { upkeep, issued, failed }
  }

  test('ca-44 every CA has a CRL, roots included; without a change it is made anew on time and not before', async () => {
    const { upkeep, issued } = counted()
    await upkeep.tick()
    const covered = new Set((await place.database.read(crlMarks)).map((mark) => mark.issuing_ca_id))
    expect(place.authorities.all().every((one) => covered.has(one.caId))).toBe(true)
    issued.length = 0
    await upkeep.tick()
    expect(issued).toEqual([])
    place.advance(HOUR * 1000 + 1000)
    await upkeep.tick()
    expect(new Set(issued.map((what) => what.split(' ')[1]))).toEqual(new Set(['delta']))
    issued.length = 0
    place.advance(24 * HOUR * 1000)
    await upkeep.tick()
    expect(new Set(issued.map((what) => what.split(' ')[1]))).toEqual(new Set(['full']))
  })

  test('ca-45 a revocation waits for no CRL; it is on a delta within a minute and on a complete one within ten', async () => {
    const { upkeep, issued } = counted()
    await upkeep.tick()
    issued.length = 0
    const leaf = await leafOf()
    await revoke(leaf)
    await upkeep.tick()
    place.advance(31_000)
    await upkeep.tick()
    expect(issued).toContain('services-ca delta')
    expect((await place.database.read(() => scopeState({ caId: services().caId, shard: 0 }))).delta?.entries).toBe(1)
    place.advance(600_000)
    await upkeep.tick()
    expect(issued).toContain('services-ca full')
  })

  test('a key that does not answer keeps no other CRL waiting, and is told', async () => {
    const { failed, issued } = counted()
    const broken = services().caId
    const authorities = {
      ...place.authorities,
      all: () =>
        place.authorities
          .all()
          .map((one) =>
            one.caId === broken
              ? { ...one, signer: { ...one.signer, sign: () => Promise.reject(new Error('the device is away')) } }
              : one,
          ),
    }
    const upkeep = createCrlUpkeep({
      ...deps(),
      authorities,
      events: {
        issued: ({ issuing_ca_id }) => issued.push(issuing_ca_id),
        failed: ({ authority }) => failed.push(authority),
      },
    })
    place.advance(25 * HOUR * 1000)
    await expect(upkeep.tick()).rejects.toThrow(/could not be issued/)
    expect(failed).toEqual(['services-ca', 'services-ca', 'services-ca', 'services-ca'])
    expect(issued.length).toBeGreaterThan(4)
    place.advance(80 * HOUR * 1000)
    expect(isLate(await served('full'), epochSeconds(place.enrol.now()))).toBe(true)
  })

  test('what is switched off issues nothing but what is asked for', async () => {
    const { upkeep, issued } = counted()
    upkeep.setRunning(false)
    place.advance(25 * HOUR * 1000)
    await upkeep.tick()
    expect(issued).toEqual([])
    expect(await upkeep.regenerate(services().caId)).toHaveLength(4)
    upkeep.setRunning(true)
  })
})

describe('over plain HTTP', () => {
  test('ca-47 DER and PEM with the headers of a cache, HEAD and 304, and 404 for all else', async () => {
    await issueFull(services(), 0, deps())
    const app = createPublicApp({ ...place.enrol, failed: () => {} })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const address = app.server.address()
    const base = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
    try {
      const { caId, certificate } = services()
      const full = await fetch(`${base}/crl/${caId}/0.crl`)
      expect(full.status).toBe(200)
      expect(full.headers.get('content-type')).toBe('application/pkix-crl')
      const row = await served('full')
      expect(Buffer.from(await full.arrayBuffer()).equals(row.der)).toBe(true)
      expect(full.headers.get('last-modified')).toBe(new Date(row.this_update * 1000).toUTCString())
      expect(full.headers.get('expires')).toBe(new Date(row.next_update * 1000).toUTCString())
      const etag = full.headers.get('etag') ?? ''
      const again = await fetch(`${base}/crl/${caId}/0.crl`, { headers: { 'if-none-match': etag } })
      expect([again.status, again.headers.get('etag')]).toEqual([304, etag])
      const head = await fetch(`${base}/crl/${caId}/0.crl`, { method: 'HEAD' })
      expect([head.status, head.headers.get('content-length')]).toEqual([200, String(row.der.length)])
      const pem = await (await fetch(`${base}/crl/${caId}/0.pem`)).text()
      expect(pem).toMatch(/^-----BEGIN X509 CRL-----/)
      expect((await fetch(`${base}/crl/${caId}/0-delta.crl`)).status).toBe(200)
      const issuer = await fetch(`${base}/ca/${caId}.cer`)
      expect(issuer.headers.get('content-type')).toBe('application/pkix-cert')
      expect(Buffer.from(await issuer.arrayBuffer()).equals(certificate.der)).toBe(true)
      for (const path of [
        '/',
        '/crl',
        `/crl/${caId}/9.crl`,
        `/crl/${caId}/00.crl`,
        `/crl/${'0'.repeat(32)}/0.crl`,
        '/ca/x.cer',
        `/crl/${caId}/..%2f0.crl`,
        '/api/v1/health',
      ]) {
        const answer = await fetch(base + path)
        expect([path, answer.status, answer.headers.get('cache-control')]).toEqual([path, 404, 'no-store'])
      }
      expect((await fetch(`${base}/crl/${caId}/0.crl`, { method: 'POST', body: 'x' })).status).toBe(404)
    } finally {
      await app.close()
    }
  })
})
