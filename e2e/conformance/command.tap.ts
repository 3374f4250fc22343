import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { issueLeaf, testPki } from '@vcc/testkit'
import t from 'tap'
import { NODE, ROOT_FOLDER } from '../harness/paths.ts'
import { run } from '../harness/process.ts'
import { addressOctets } from './address.ts'

const MAIN = join(ROOT_FOLDER, 'e2e/conformance/main.ts')
const folder = await mkdtemp(join(tmpdir(), 'vcc-conformance-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))

/** One case of limbo's form, a leaf below a root of ours: valid by RFC 5280. */
const pki = testPki()
const leaf = issueLeaf(pki.servicesCa, pki.now, { commonName: 'server', dnsNames: ['argus.vcc.internal'] })
const testcase = {
  id: 'rfc5280::ours',
  features: [],
  validation_kind: 'SERVER',
  trusted_certs: [pki.rootPem],
  untrusted_intermediates: [pki.servicesCa.certPem],
  peer_certificate: leaf.certPem,
  validation_time: pki.now.toISOString(),
  signature_algorithms: [],
  key_usage: [],
  extended_key_usage: [],
  expected_result: 'SUCCESS',
  expected_peer_name: { kind: 'DNS', value: 'argus.vcc.internal' },
  expected_peer_names: [],
  max_chain_depth: null,
  crls: [],
}

async function conformance(testcases: readonly object[] | string) {
  const file = typeof testcases === 'string' ? testcases : join(folder, 'limbo.json')
  if (typeof testcases !== 'string') await writeFile(file, JSON.stringify({ version: 1, testcases }))
  const env = { LIMBO: file, VCC_VECTORS: join(folder, 'nothing'), PKITS: '', WYCHEPROOF: '' }
  const report = join(folder, 'report.json')
  const { code: exitCode, stdout } = await run(NODE, [MAIN, '--report', report], { env })
  const scores = stdout.split('\n').filter((line) => line.startsWith('{'))
  const [score] = scores
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ suite }) => suite === 'x509-limbo')
  return {
    exitCode,
    stdout,
    score,
    report: exitCode === 2 ? undefined : (JSON.parse(await readFile(report, 'utf8')) as object),
  }
}

await t.test('a case that has its result passes, and suites without vectors are skipped by name', async (t) => {
  const { exitCode, stdout, score, report } = await conformance([testcase])
  t.equal(exitCode, 0, stdout)
  t.same(score, { suite: 'x509-limbo', total: 1, passed: 1, failed: 0, skipped: 0, falseAccepts: 0 })
  t.match(stdout, /== pkits\n.*\n {2}skipped: 1 × its vectors are not here; VCC_VECTORS or PKITS says where they are/)
  t.match(report, { failed: 0, skipped: 2 })
})

await t.test('one false accept that nobody listed is an error, however many pass', async (t) => {
  const many = Array.from({ length: 99 }, (_, i) => ({ ...testcase, id: `${testcase.id}-${i}` }))
  const { exitCode, stdout, score, report } = await conformance([...many, { ...testcase, expected_result: 'FAILURE' }])
  t.equal(exitCode, 1)
  t.match(score, { total: 100, passed: 99, failed: 1, falseAccepts: 1 })
  t.match(stdout, /FAIL x509-limbo: rfc5280::ours is accepted/)
  t.match(report, { failed: 1 })
})

await t.test('below the floor is an error, pedantic cases not counted', async (t) => {
  const wrong = { ...testcase, expected_peer_name: { kind: 'DNS', value: 'elsewhere.example' } }
  const pedantic = { ...wrong, features: ['pedantic-rfc5280'] }
  const below = await conformance([testcase, wrong])
  t.equal(below.exitCode, 1)
  t.match(below.stdout, /FAIL x509-limbo: 50 % of the cases that are not pedantic, the floor is 98 %/)
  const above = await conformance([testcase, pedantic])
  t.equal(above.exitCode, 0)
  t.match(above.score, { total: 2, passed: 1, failed: 1, falseAccepts: 0 })
  t.match(above.stdout, /differs: rfc5280::ours: expected to accept, rejected \(peer_name_mismatch\); not listed/)
})

await t.test('a file that is not there is said, with another status', async (t) => {
  const { exitCode, stdout } = await conformance(join(folder, 'no-such.json'))
  t.equal(exitCode, 2)
  t.match(stdout, /LIMBO names ".*no-such\.json", which does not exist/)
})

await t.test('addresses', async (t) => {
  const of = (text: string): string => addressOctets(text).toHex()
  t.equal(of('192.0.2.1'), 'c0000201')
  t.equal(of('::'), '0'.repeat(32))
  t.equal(of('::1'), `${'0'.repeat(31)}1`)
  t.equal(of('2001:db8::8a2e:370:7334'), '20010db80000000000008a2e03707334')
  t.equal(of('::ffff:192.0.2.1'), '00000000000000000000ffffc0000201')
})
