import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeSigned } from '../encode-certificate.ts'
import { encodeAuthorityKeyId, encodeCrlDistributionPoint, encodeSubjectKeyId } from '../extension/encode.ts'
import { encodePem } from '../pem.ts'
import { REVOCATION_REASONS, type RevocationReason } from '../revocation-reason.ts'
import { AT, type Minted, mintCa, mintLeaf } from '../testing/mint.ts'
import { type CrlEntry, type CrlFields, encodeTbsCrl } from './encode.ts'

const run = promisify(execFile)
const URL = 'http://pki.example.org/crl/00112233445566778899aabbccddeeff/0.crl'
const OTHER_SHARD = URL.replace('/0.crl', '/1.crl')
const DELTA_URL = URL.replace('.crl', '-delta.crl')
const KEY_ID = new Uint8Array(20).fill(7)
const HOUR_MS = 3_600_000
/** Between a past and a future one, so that `openssl verify` may judge at its own time. */
const THIS_UPDATE = new Date(AT.getTime() - HOUR_MS)
const NEXT_UPDATE = new Date(AT.getTime() + HOUR_MS)

let folder: string
let root: Minted
let leaf: Minted
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-crl-'))
  root = mintCa({ slots: { subjectKeyId: encodeSubjectKeyId(KEY_ID) } })
  leaf = mintLeaf({
    issuer: root,
    slots: { authorityKeyId: encodeAuthorityKeyId(KEY_ID), crlDistributionPoints: encodeCrlDistributionPoint(URL) },
  })
  await writeFile(join(folder, 'root.pem'), encodePem('CERTIFICATE', root.der))
  await writeFile(join(folder, 'leaf.pem'), encodePem('CERTIFICATE', leaf.der))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const fieldsOf = (more: Partial<CrlFields> = {}): CrlFields => ({
  issuer: root.certificate,
  algorithm: root.key.algorithm,
  thisUpdate: THIS_UPDATE,
  nextUpdate: NEXT_UPDATE,
  number: 1_780_000_000,
  distributionPoint: URL,
  entries: [],
  ...more,
})

function signed(fields: CrlFields): Uint8Array {
  const tbs = encodeTbsCrl(fields)
  return encodeSigned(tbs, fields.algorithm, root.key.signNow(tbs))
}

async function crlFile(name: string, fields: CrlFields): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, encodePem('X509 CRL', signed(fields)))
  return file
}

async function text(fields: CrlFields): Promise<string> {
  const file = await crlFile('text.pem', fields)
  const { stdout, stderr } = await run('openssl', [
    'crl',
    '-in',
    file,
    '-noout',
    '-text',
    '-CAfile',
    join(folder, 'root.pem'),
  ])
  expect(stderr).toContain('verify OK')
  return stdout
}

async function verify(...args: string[]): Promise<string> {
  const at = String(AT.getTime() / 1000)
  const all = [
    'verify',
    '-attime',
    at,
    '-x509_strict',
    '-CAfile',
    join(folder, 'root.pem'),
    ...args,
    join(folder, 'leaf.pem'),
  ]
  try {
    return (await run('openssl', all)).stdout
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string } // of execFile
    return stdout + stderr
  }
}

const entryOf = (minted: Minted, reason: RevocationReason, more: Partial<CrlEntry> = {}): CrlEntry => ({
  serialHex: minted.certificate.serialHex,
  revocationDate: THIS_UPDATE,
  reason,
  ...more,
})

describe('what openssl reads', () => {
  test('ca-37 ca-38 number, scope and authority are there, critical where they must be', async () => {
    const shown = await text(fieldsOf({ freshest: DELTA_URL }))
    expect(shown).toMatch(/X509v3 CRL Number: \n\s+1780000000/)
    expect(shown).toMatch(
      /X509v3 Issuing Distribution Point: critical\n\s+Full Name:\n\s+URI:http:\/\/pki\.example\.org\/crl\/00112233445566778899aabbccddeeff\/0\.crl/,
    )
    expect(shown).toMatch(/X509v3 Authority Key Identifier: \n\s+(keyid:)?07:07/)
    expect(shown).toMatch(/X509v3 Freshest CRL: \n\s+Full Name:\n\s+URI:.*0-delta\.crl/)
    expect(shown).not.toMatch(/Only|Indirect/)
  })

  test('ca-40 an empty list is no list', async () => {
    expect(await text(fieldsOf())).toContain('No Revoked Certificates.')
  })

  for (const reason of Object.keys(REVOCATION_REASONS) as RevocationReason[]) {
    test(`ca-41 the reason ${reason}`, async () => {
      const shown = await text(fieldsOf({ entries: [entryOf(leaf, reason)] }))
      const words = REASON_WORDS[reason]
      if (words === undefined) expect(shown).not.toContain('CRL Reason Code')
      else expect(shown).toMatch(new RegExp(`X509v3 CRL Reason Code: \\n\\s+${words}`))
    })
  }

  test('an invalidity date stands beside the reason, and alone', async () => {
    const invalidityDate = new Date('2026-05-01T00:00:00Z')
    for (const reason of ['keyCompromise', 'unspecified'] as const) {
      expect(await text(fieldsOf({ entries: [entryOf(leaf, reason, { invalidityDate })] }))).toMatch(
        /Invalidity Date: \n\s+May {2}1 00:00:00 2026 GMT/,
      )
    }
  })

  test('without a distribution point it covers all of the CA, a root that names none included', async () => {
    const whole = fieldsOf({ distributionPoint: undefined })
    expect(await text(whole)).not.toContain('Issuing Distribution Point')
    const file = await crlFile('whole.pem', whole)
    expect(await verify('-crl_check_all', '-CRLfile', file)).toContain('leaf.pem: OK')
    const one = await crlFile('one.pem', fieldsOf())
    expect(await verify('-crl_check_all', '-CRLfile', one)).toContain('error 44 at 1 depth lookup')
  })

  test('a hundred thousand entries, as many as a CRL of ours has at most', async () => {
    const entries = Array.from({ length: 100_000 }, (_, index) => ({
      ...entryOf(leaf, 'superseded'),
      serialHex: `01${(index + 1).toString(16).padStart(38, '0')}`,
    }))
    const der = signed(fieldsOf({ entries }))
    expect(der.length).toBeLessThan(16 * 1024 * 1024)
    const file = join(folder, 'many.der')
    await writeFile(file, der)
    const { stdout } = await run('openssl', ['crl', '-inform', 'DER', '-in', file, '-noout', '-crlnumber'])
    expect(stdout).toContain('crlNumber=')
  })

  test('a delta names its base, critically', async () => {
    expect(await text(fieldsOf({ baseNumber: 1_779_000_000 }))).toMatch(
      /X509v3 Delta CRL Indicator: critical\n\s+1779000000/,
    )
  })
})

describe('what openssl decides', () => {
  test('a certificate that is not listed is good, one that is listed is revoked', async () => {
    const empty = await crlFile('empty.pem', fieldsOf())
    expect(await verify('-crl_check', '-CRLfile', empty)).toContain('leaf.pem: OK')
    const listed = await crlFile('listed.pem', fieldsOf({ entries: [entryOf(leaf, 'keyCompromise')] }))
    expect(await verify('-crl_check', '-CRLfile', listed)).toContain('certificate revoked')
  })

  test('ca-38 the CRL of another shard says nothing of it', async () => {
    const other = await crlFile('other.pem', fieldsOf({ distributionPoint: OTHER_SHARD }))
    expect(await verify('-crl_check', '-CRLfile', other)).toContain('error 44 at 0 depth lookup')
  })

  test('a delta revokes what its base does not', async () => {
    const base = await crlFile('base.pem', fieldsOf({ number: 10, freshest: DELTA_URL }))
    const delta = await crlFile(
      'delta.pem',
      fieldsOf({ number: 11, baseNumber: 10, entries: [entryOf(leaf, 'superseded')] }),
    )
    expect(await verify('-crl_check', '-CRLfile', base)).toContain('leaf.pem: OK')
    expect(await verify('-crl_check', '-use_deltas', '-CRLfile', base, '-CRLfile', delta)).toContain(
      'certificate revoked',
    )
  })
})

test('a delta that names a further delta, and an issuer without a key identifier, are mistakes of ours', () => {
  expect(() => encodeTbsCrl(fieldsOf({ baseNumber: 1, freshest: DELTA_URL }))).toThrow(TypeError)
  expect(() => encodeTbsCrl(fieldsOf({ issuer: mintCa().certificate }))).toThrow(TypeError)
})

const REASON_WORDS: Readonly<Record<RevocationReason, string | undefined>> = {
  unspecified: undefined,
  keyCompromise: 'Key Compromise',
  cACompromise: 'CA Compromise',
  affiliationChanged: 'Affiliation Changed',
  superseded: 'Superseded',
  cessationOfOperation: 'Cessation Of Operation',
  certificateHold: 'Certificate Hold',
  removeFromCRL: 'Remove From CRL',
  privilegeWithdrawn: 'Privilege Withdrawn',
  aACompromise: 'AA Compromise',
}
