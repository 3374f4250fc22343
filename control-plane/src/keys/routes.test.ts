import { createPublicKey } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiProblem, type HsmStatus, type KeySummary } from '@vcc/api'
import { readKeyFile } from '@vcc/runtime'
import { hasSoftHsm, type SoftHsmToken, softHsmToken } from '@vcc/testkit'
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { auditRows } from '../audit/export.ts'
import { openForReading } from '../database/open.ts'
import { pathsOf } from '../init/paths.ts'
import { type TestControlPlane, testControlPlane } from '../testing/control-plane.ts'

const SLOW = 180_000

async function refusalOf(work: Promise<unknown>): Promise<ApiProblem> {
  const outcome = await work.then(
    () => 'no refusal',
    (error: unknown) => error,
  )
  if (outcome instanceof ApiProblem) return outcome
  throw new Error('not a problem', { cause: outcome })
}

async function eventually(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + 90_000
  while (!(await isSo())) {
    if (Date.now() > until) throw new Error(`not seen: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Audit rows of keys, as `event phase or outcome reason target`. */
async function keyRows({ config }: TestControlPlane): Promise<string[]> {
  const key = await readKeyFile(config.secrets.database_key_file)
  await using database = openForReading({ path: pathsOf(config.data).database, key })
  const rows: string[] = []
  for await (const { record } of auditRows(database)) {
    const { event, phase, outcome, reason_code, target } = JSON.parse(record)
    if (/^(KEY|HSM)/.test(event))
      rows.push([event, phase === 'attempt' ? phase : outcome, reason_code ?? '-', target.id].join(' '))
  }
  return rows
}

describe.skipIf(!hasSoftHsm)('with roots, CAs and signers of state in a token', { timeout: SLOW }, () => {
  let folder: string
  let token: SoftHsmToken
  let place: TestControlPlane
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vcc-hsm-'))
    token = await softHsmToken(folder)
    place = await testControlPlane(token.config)
  }, SLOW)
  afterAll(async () => {
    await place[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  }, SLOW)

  const api = () => place.as(place.admin)
  const list = async (query = {}) => (await api().call('hsmKeyList', { query })).items
  const used = (keys: readonly KeySummary[]) =>
    keys.flatMap(({ used_by }) => used_by.map((use) => (use.kind === 'ca' ? use.name : use.role))).toSorted()

  test('the status names the token, and where new keys are made', async () => {
    expect(await api().call('hsmStatus', {})).toMatchObject({
      state: 'ready',
      code: null,
      token: { label: 'vcc', manufacturer: 'SoftHSM project' },
      sessions: 4,
      stores: { root: 'hsm', issuing: 'hsm', state: 'hsm', tsa: 'software' },
    } satisfies Partial<HsmStatus> | object)
  })

  test('every key that init made is in the token, protected, and says what uses it', async () => {
    const keys = await list()
    expect(used(keys)).toEqual(
      'active admin-ca artifact-root code-signing-ca control-ca evidence-root mesh-root services-ca spare tsa-ca'.split(
        ' ',
      ),
    )
    const seen = await token.privateKeys()
    expect(seen).toHaveLength(10)
    for (const key of keys) {
      expect(key).toMatchObject({
        held: 'hsm',
        attributes: {
          sensitive: true,
          extractable: false,
          always_sensitive: true,
          never_extractable: true,
          local: true,
        },
      })
      expect(seen.filter(({ ID }) => ID === key.key_id)).toEqual([
        {
          label: key.key_label,
          ID: key.key_id,
          Usage: 'sign',
          Access: 'sensitive, always sensitive, never extractable, local',
        },
      ])
    }
    expect(await list({ held: 'software' })).toEqual([])
    expect(await list({ purpose: 'state' })).toHaveLength(2)
    const { items } = await api().call('caList', {})
    expect(new Set(items.map(({ key_held }) => key_held))).toEqual(new Set(['hsm']))
  })

  test('a key is made where its purpose says, shown, and destroyed; each with its audit rows', async () => {
    const before = (await keyRows(place)).length
    const inHsm = await api().call('hsmKeyGenerate', { body: { purpose: 'issuing', algorithm: 'P-384' } })
    const inFile = await api().call('hsmKeyGenerate', { body: { purpose: 'tsa' } })
    expect(inHsm).toMatchObject({ purpose: 'issuing', algorithm: 'P-384', held: 'hsm', used_by: [] })
    expect(inFile).toMatchObject({ purpose: 'tsa', algorithm: 'P-256', held: 'software', attributes: null })
    for (const { key_label, key_id, purpose } of [inHsm, inFile]) {
      expect(key_label).toBe(`${purpose}-${key_id}`)
      const shown = await api().call('hsmKeyShow', { params: { key_label } })
      const { public_key_pem } = await api().call('hsmKeyPublic', { params: { key_label } })
      expect(createPublicKey(public_key_pem).asymmetricKeyType).toBe('ec')
      expect(shown.key_id).toBe(key_id)
      await api().call('hsmKeyDelete', { params: { key_label } })
      expect((await refusalOf(api().call('hsmKeyShow', { params: { key_label } }))).code).toBe('key_unknown')
      expect((await refusalOf(api().call('hsmKeyDelete', { params: { key_label } }))).code).toBe('key_unknown')
    }
    expect((await keyRows(place)).slice(before)).toEqual([
      'KEY-01 attempt - new:issuing',
      'KEY-01 success - new:issuing',
      'KEY-01 attempt - new:tsa',
      'KEY-01 success - new:tsa',
      `KEY-06 attempt - ${inHsm.key_id}`,
      `KEY-06 success - ${inHsm.key_id}`,
      `KEY-06 attempt - ${inFile.key_id}`,
      `KEY-06 success - ${inFile.key_id}`,
    ])
  })

  test('a key in use is not destroyed, and the attempt is on record', async () => {
    const before = (await keyRows(place)).length
    const inUse = (await list()).filter(({ used_by }) => used_by.length > 0)
    for (const { key_label } of inUse) {
      const refusal = await refusalOf(api().call('hsmKeyDelete', { params: { key_label } }))
      expect(refusal.code).toBe('key_in_use')
      expect(refusal.problem.status).toBe(409)
    }
    expect(used(await list())).toEqual(used(inUse))
    expect((await keyRows(place)).slice(before)).toEqual(
      inUse.map(({ key_id }) => `KEY-06 denied key_in_use ${key_id}`),
    )
  })

  test('a further CA has its key in the token; no key is left of one that is refused', async () => {
    await api().call('caCreate', { body: { kind: 'services', name: 'second' } })
    const before = await list()
    expect(used(before)).toContain('second')
    expect((await refusalOf(api().call('caCreate', { body: { kind: 'services', name: 'second' } }))).code).toBe(
      'authority_exists',
    )
    expect(await list()).toEqual(before)
  })

  test('agents and strangers have no business with keys', async () => {
    const agent = await place.join('argus')
    expect((await refusalOf(place.as(agent).call('hsmKeyList', { query: {} }))).code).toBe('not_allowed')
    expect((await refusalOf(place.as(undefined).call('hsmStatus', {}))).code).toBe('client_certificate_required')
  })

  test('a label that is none is refused before it is looked for', async () => {
    for (const key_label of ['x', `root-${'0'.repeat(31)}`, `../root-${'0'.repeat(32)}`, `ROOT-${'0'.repeat(32)}`]) {
      expect((await refusalOf(api().call('hsmKeyShow', { params: { key_label } }))).code).toBe('request_invalid')
    }
    const key_label = `root-${'0'.repeat(32)}`
    expect((await refusalOf(api().call('hsmKeyShow', { params: { key_label } }))).code).toBe('key_unknown')
  })

  test('while the token is away the API says so with 503 and Retry-After, and recovers by itself', async () => {
    await token.takeOut()
    await eventually('the token is missed', async () => {
      await api()
        .call('caCreate', { body: { kind: 'services', name: 'while-away' } })
        .catch(() => {})
      return (await api().call('hsmStatus', {})).code === 'hsm_token_missing'
    })
    expect((await api().call('hsmStatus', {})).state).toBe('unavailable')
    expect((await api().call('health', {})).status).toBe('degraded')
    const answer = await request(`https://127.0.0.1:${place.ports.agents}/api/v1/hsm/keys`, {
      dispatcher: place.dispatcherOf(place.admin),
    })
    expect(answer.statusCode).toBe(503)
    expect(answer.headers['retry-after']).toBe('30')
    expect(await answer.body.json()).toMatchObject({ code: 'hsm_token_missing', status: 503 })
    await token.putBack()
    await eventually('it is back', async () => (await api().call('hsmStatus', {})).state !== 'unavailable')
    expect(used(await list())).toContain('services-ca')
    expect(await api().call('hsmStatus', {})).toMatchObject({ state: 'ready', code: null })
    expect((await api().call('health', {})).status).toBe('ok')
  })
})

describe('without a token', { timeout: SLOW }, () => {
  test('keys are in files, listed, made and destroyed by the same routes', async () => {
    await using place = await testControlPlane()
    const api = place.as(place.admin)
    expect(await api.call('hsmStatus', {})).toMatchObject({ state: 'not_configured', module: null, token: null })
    const { items } = await api.call('hsmKeyList', { query: {} })
    expect(new Set(items.map(({ held }) => held))).toEqual(new Set(['software']))
    expect(items).toHaveLength(10)
    const { key_label } = await api.call('hsmKeyGenerate', { body: { purpose: 'root', algorithm: 'P-384' } })
    await api.call('hsmKeyDelete', { params: { key_label } })
    expect((await api.call('hsmKeyList', { query: {} })).items).toEqual(items)
  })
})
