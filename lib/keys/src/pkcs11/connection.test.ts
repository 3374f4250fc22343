import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeCommand } from '@vcc/runtime'
import { verifySignature } from '@vcc/x509'
import { describe, expect, test } from 'vitest'
import { KEY_FAILURES, type KeyFailure } from '../error.ts'
import type { Signer } from '../signer.ts'
import { eventually, outcomeOf, refusalOf } from '../testing/refusal.ts'
import { CKR, hasSoftHsm, listener, softHsm } from '../testing/softhsm.ts'
import { openPkcs11Store, type Pkcs11Store } from './store.ts'

const SLOW = 180_000

/** A store over the token as it is or behind the faulty module, with a key, and what its connection tells. */
async function signing(change: Partial<Parameters<typeof openPkcs11Store>[0]> = {}, isFaulty = false) {
  const hsm = await softHsm()
  const faulty = isFaulty ? await hsm.faulty() : undefined
  const told = listener()
  const store = await openPkcs11Store({ ...(faulty?.options ?? hsm.options), ...change }, told)
  const signer = await store.generate('issuing', 'P-256')
  let count = 0
  return {
    hsm,
    store,
    told,
    signer,
    tell: faulty?.tell ?? (async () => {}),
    heal: faulty?.heal ?? (async () => {}),
    calls: faulty?.calls ?? (async () => 0),
    /** A signature over something new, verified; `ok`, or the code of its refusal. */
    sign: (options?: { signal?: AbortSignal }) => outcomeOf(signed(signer, `message ${count++}`, options)),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      await hsm[Symbol.asyncDispose]()
    },
  }
}

async function signed(signer: Signer, message: string, options?: { signal?: AbortSignal }): Promise<void> {
  const bytes = Buffer.from(message)
  const signature = await signer.sign(bytes, options)
  if (!verifySignature(signer.algorithm, signer.publicKey, bytes, signature)) throw new Error('a wrong signature')
}

/** Never 0, which would be this process and its whole group. */
function pidOf(store: Pkcs11Store): number {
  const { pid } = store.status()
  if (pid === undefined) throw new Error('no signer process serves')
  return pid
}

const signal = (store: Pkcs11Store, name: NodeJS.Signals) => process.kill(pidOf(store), name)

describe.skipIf(!hasSoftHsm)('the signer process', { timeout: SLOW }, () => {
  test('gets no PIN in its arguments or environment, and one thread for each session', async () => {
    await using one = await signing({ readPin: async () => '1234' })
    const about = await Promise.all(
      ['cmdline', 'environ'].map((name) => readFile(`/proc/${pidOf(one.store)}/${name}`, 'utf8')),
    )
    expect(about.join('\0').split('\0')).not.toContain('1234')
    expect(about.join('\0').split('\0')).toContain('UV_THREADPOOL_SIZE=4')
    expect(one.store.status()).toMatchObject({ breaker: 'closed', token: { label: 'vcc', sessions: 3 }, restarts: 0 })
  })

  test('killed in mid-load: what it had is refused, what waited is signed, and it is replaced', async () => {
    await using one = await signing()
    await one.sign()
    const first = pidOf(one.store)
    const load = Promise.all(Array.from({ length: 100 }, () => one.sign()))
    await eventually('requests are under way', () => one.store.status().underWay === 3)
    process.kill(first, 'SIGKILL')
    const outcomes = await load
    expect(new Set(outcomes)).toEqual(new Set(['ok', 'hsm_unavailable']))
    expect(outcomes.filter((outcome) => outcome !== 'ok').length).toBeLessThanOrEqual(3)
    expect(await one.sign()).toBe('ok')
    expect(pidOf(one.store)).not.toBe(first)
    expect(one.store.status()).toMatchObject({ breaker: 'closed', restarts: 1 })
    expect(one.told.lost).toEqual(['it ended by SIGKILL'])
  })

  test('stopped without a word: after the deadline it is killed and replaced', async () => {
    await using one = await signing({ timeoutMs: 8000 })
    const first = pidOf(one.store)
    signal(one.store, 'SIGSTOP')
    expect(await one.sign()).toBe('hsm_unavailable')
    await eventually('another one serves', () => ![first, undefined].includes(one.store.status().pid))
    expect(await one.sign()).toBe('ok')
  })

  test('more requests than may wait are refused at once; the others are signed', async () => {
    await using one = await signing({ sessions: 1, queue: 2 })
    signal(one.store, 'SIGSTOP')
    const waiting = [one.sign(), one.sign(), one.sign()]
    expect(one.store.status()).toMatchObject({ underWay: 1, waiting: 2 })
    expect(await one.sign()).toBe('hsm_busy')
    signal(one.store, 'SIGCONT')
    expect(await Promise.all(waiting)).toEqual(['ok', 'ok', 'ok'])
  })

  test('a request that is given up, or whose deadline passes, before its turn never reaches the token', async () => {
    await using one = await signing({ sessions: 1, timeoutMs: 60_000 }, true)
    const before = await one.calls('C_Sign')
    signal(one.store, 'SIGSTOP')
    const underWay = one.sign()
    const stop = new AbortController()
    const givenUp = one.sign({ signal: stop.signal })
    const last = one.sign()
    stop.abort()
    expect(await givenUp).toBe('signer_deadline')
    expect(await one.sign({ signal: AbortSignal.abort() })).toBe('signer_deadline')
    expect(await one.sign({ signal: AbortSignal.timeout(50) })).toBe('signer_deadline')
    signal(one.store, 'SIGCONT')
    expect([await underWay, await last]).toEqual(['ok', 'ok'])
    expect((await one.calls('C_Sign')) - before).toBe(2)
  })

  test('given up while the token works on it: answered then, and the session is of use again', async () => {
    await using one = await signing({ sessions: 1 })
    signal(one.store, 'SIGSTOP')
    const stop = new AbortController()
    const underWay = one.sign({ signal: stop.signal })
    stop.abort()
    expect(await underWay).toBe('signer_deadline')
    signal(one.store, 'SIGCONT')
    expect(await one.sign()).toBe('ok')
    expect(one.store.status().restarts).toBe(0)
  })

  test('ends with its store', async () => {
    const one = await signing()
    const pid = pidOf(one.store)
    await one[Symbol.asyncDispose]()
    expect(existsSync(`/proc/${pid}`)).toBe(false)
    expect(await one.sign()).toBe('hsm_unavailable')
  })

  test('ends when the process it serves is killed', async () => {
    await using hsm = await softHsm()
    const { readPin: _, ...options } = hsm.options
    const parent = spawn(nodeCommand().path, [fileURLToPath(new URL('../testing/holder.ts', import.meta.url))], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    parent.stdin.end(JSON.stringify(options))
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(line.toString('utf8'))
    expect(existsSync(`/proc/${pid}`)).toBe(true)
    parent.kill('SIGKILL')
    await eventually('the signer process ended', () => !existsSync(`/proc/${pid}`))
  })
})

describe.skipIf(!hasSoftHsm)('a token', { timeout: SLOW }, () => {
  test('that is taken out and comes back is found gone and opened again, without anybody asking', async () => {
    await using one = await signing({ keepAliveMs: 200 })
    await one.hsm.takeOut()
    await eventually('it is missing', () => one.store.status().failure?.code === 'hsm_token_missing')
    const status = one.store.status()
    expect(status).toMatchObject({ breaker: 'open', pid: undefined })
    expect(await one.sign()).toBe('hsm_token_missing')
    await one.hsm.putBack()
    await eventually('it is opened again', () => one.store.status().breaker !== 'open')
    expect(await one.sign()).toBe('ok')
    expect(one.store.status().breaker).toBe('closed')
    expect(one.told.unavailable).toEqual(['hsm_token_missing'])
  })

  test('that is taken out and put back between two requests costs neither of them', async () => {
    await using one = await signing()
    expect(await one.sign()).toBe('ok')
    await one.hsm.takeOut()
    expect(await one.sign()).toMatch(/^hsm_(unavailable|token_missing)$/)
    await one.hsm.putBack()
    await eventually('it is opened again', () => one.store.status().breaker !== 'open')
    expect(await one.sign()).toBe('ok')
  })

  for (const [name, number] of Object.entries({
    'a session': CKR.SESSION_HANDLE_INVALID,
    'its login': CKR.USER_NOT_LOGGED_IN,
    'the device': CKR.DEVICE_REMOVED,
    'the handle of a key': CKR.KEY_HANDLE_INVALID,
    itself: CKR.TOKEN_NOT_PRESENT,
  })) {
    test(`that lost ${name} before it signed is opened again, and the caller does not notice`, async () => {
      await using one = await signing({}, true)
      await one.tell('C_SignInit.once', number)
      expect(await one.sign()).toBe('ok')
      expect(one.told.started).toHaveLength(2)
      expect(one.store.status()).toMatchObject({ breaker: 'closed', restarts: 1 })
    })
  }

  test('that may have signed is not asked a second time', async () => {
    await using one = await signing({}, true)
    const before = await one.calls('C_Sign')
    await one.tell('C_Sign.once', CKR.DEVICE_ERROR)
    expect(await one.sign()).toBe('hsm_unavailable')
    expect((await one.calls('C_Sign')) - before).toBe(1)
    expect(await one.sign()).toBe('ok')
    expect(one.told.lost).toEqual(['C_Sign: CKR_DEVICE_ERROR'])
  })

  test('whose module crashes or hangs takes nothing down with it', async () => {
    await using one = await signing({ timeoutMs: 8000 }, true)
    for (const what of ['crash', 'hang']) {
      await one.tell('C_Sign.once', what)
      expect(await one.sign()).toBe('hsm_unavailable')
      await eventually('another process serves', () => one.store.status().pid !== undefined)
      expect(await one.sign()).toBe('ok')
    }
    expect(one.told.lost).toEqual(['it ended by SIGABRT', 'the token did not answer within 8000 ms'])
  })

  test('that fails again and again opens the breaker, and one request on trial closes it', async () => {
    await using one = await signing({}, true)
    await one.tell('C_Sign', CKR.FUNCTION_FAILED)
    for (let round = 0; round < 5; round++) expect(await one.sign()).toBe('signer_failed')
    await eventually('the breaker is open', () => one.store.status().breaker === 'open')
    const before = await one.calls('C_Sign')
    expect(await one.sign()).toBe('hsm_unavailable')
    expect(await one.calls('C_Sign')).toBe(before)
    await eventually('it is half open', () => one.store.status().breaker === 'half_open')
    expect(await one.sign()).toBe('signer_failed')
    await eventually('it is half open again', () => one.store.status().breaker === 'half_open')
    await one.heal('C_Sign')
    expect(await Promise.all(Array.from({ length: 20 }, () => one.sign()))).toEqual(Array(20).fill('ok'))
    expect(one.store.status()).toMatchObject({ breaker: 'closed', failure: undefined })
    expect(one.told.unavailable).toEqual(['hsm_unavailable'])
  })

  test('is kept awake and looked after while idle', async () => {
    await using one = await signing({ keepAliveMs: 200 }, true)
    await one.tell('C_GenerateRandom.once', CKR.RANDOM_NO_RNG)
    await eventually('it was looked after', () => !existsSync(join(one.hsm.folder, 'faults', 'C_GenerateRandom.once')))
    expect(one.store.status().restarts).toBe(0)
    await one.tell('C_GenerateRandom.once', CKR.SESSION_HANDLE_INVALID)
    await eventually('it was opened again', () => one.told.started.length === 2)
    expect(one.told.lost).toEqual(['C_GenerateRandom: CKR_SESSION_HANDLE_INVALID'])
    expect(await one.sign()).toBe('ok')
  })

  test('with fewer sessions than asked for is used with those', async () => {
    await using hsm = await softHsm()
    const { options, tell, heal } = await hsm.faulty()
    await using store = await openPkcs11Store(options, listener())
    expect(store.status().token?.sessions).toBe(3)
    await tell('C_OpenSession', CKR.SESSION_COUNT)
    signal(store, 'SIGKILL')
    await eventually('no session at all is no token', () => store.status().failure?.code === 'hsm_unavailable')
    await heal('C_OpenSession')
    await eventually('it is back', () => store.status().pid !== undefined)
    await tell('C_OpenSession.after', 2)
    signal(store, 'SIGKILL')
    await eventually('a smaller pool', () => store.status().token?.sessions === 2)
    expect((await store.generate('state', 'P-256')).held).toBe('hsm')
  })

  test('that gives its points bare is understood', async () => {
    await using one = await signing({}, true)
    await one.tell('bare-point')
    const opened = await one.store.open(one.signer.keyId, 'issuing')
    expect(Buffer.from(opened.publicKey.spkiDer).equals(one.signer.publicKey.spkiDer)).toBe(true)
  })
})

describe.skipIf(!hasSoftHsm)('a PIN', { timeout: SLOW }, () => {
  test('that is wrong is tried once, not again and again; another one is', async () => {
    await using hsm = await softHsm()
    const { options, calls, tell, heal } = await hsm.faulty()
    let pin = '1234'
    const told = listener()
    await using store = await openPkcs11Store({ ...options, readPin: async () => pin }, told)
    const signer = await store.generate('state', 'P-256')
    await tell('C_Login', CKR.PIN_INCORRECT) // somebody changed the PIN of the token
    signal(store, 'SIGKILL')
    await eventually('the PIN is refused', () => store.status().failure?.code === 'hsm_pin_refused')
    const tries = await calls('C_Login')
    const restarts = store.status().restarts
    await eventually('there were further attempts', () => store.status().restarts > restarts + 2)
    expect(await calls('C_Login')).toBe(tries)
    expect(await outcomeOf(signed(signer, 'x'))).toBe('hsm_pin_refused')
    expect(told.unavailable).toEqual(['hsm_pin_refused'])
    pin = '12345'
    await eventually('the other PIN is tried', async () => (await calls('C_Login')) === tries + 1)
    await heal('C_Login')
    pin = '1234'
    await eventually('the token is open again', () => store.status().pid !== undefined)
    await signed(signer, 'y')
  })

  for (const [name, flag] of Object.entries({ 'has one try left': 0x20000, 'is locked': 0x40000 })) {
    test(`is not tried when the token says that it ${name}`, async () => {
      await using hsm = await softHsm()
      const { options, calls, tell } = await hsm.faulty()
      await tell('token-flags', flag)
      expect((await refusalOf(openPkcs11Store(options, listener()))).code).toBe('hsm_pin_locked')
      expect(await calls('C_Login')).toBe(0)
    })
  }
})

describe.skipIf(!hasSoftHsm)('refused', { timeout: SLOW }, () => {
  const openings: readonly {
    name: string
    fails: KeyFailure
    change: Partial<Parameters<typeof openPkcs11Store>[0]>
    says: RegExp
  }[] = [
    { name: 'no such module', fails: 'hsm_module_unusable', change: { module: '/nowhere.so' }, says: /\/nowhere\.so/ },
    {
      name: 'a library that is no module',
      fails: 'hsm_module_unusable',
      change: { module: '/lib/x86_64-linux-gnu/libc.so.6' },
      says: /cannot be used/,
    },
    { name: 'no token of this label', fails: 'hsm_token_missing', change: { label: 'vc' }, says: /labelled "vc"/ },
    { name: 'no token of this serial', fails: 'hsm_token_missing', change: { serial: '00' }, says: /serial 00/ },
    { name: 'a PIN that is wrong', fails: 'hsm_pin_refused', change: { readPin: async () => '9999' }, says: /PIN/ },
    { name: 'a PIN that is too short', fails: 'hsm_pin_refused', change: { readPin: async () => '1' }, says: /PIN/ },
  ]
  for (const { name, fails, change, says } of openings) {
    test(`with ${fails}: ${name}`, async () => {
      await using hsm = await softHsm()
      const told = listener()
      const refusal = await refusalOf(openPkcs11Store({ ...hsm.options, ...change }, told))
      expect(refusal.code).toBe(fails)
      expect(refusal.message).toMatch(says)
      expect(refusal.message).not.toMatch(/9999/)
      expect(refusal.hint).toMatch(/keys\.hsm\./)
      expect(told.started).toEqual([])
    })
  }

  test('with hsm_token_ambiguous: two tokens of one label, until a serial names one', async () => {
    await using hsm = await softHsm()
    await hsm.initToken('vcc')
    expect((await refusalOf(openPkcs11Store(hsm.options, listener()))).code).toBe('hsm_token_ambiguous')
    const [, serial] = /Serial number: +(\S+)/.exec(await hsm.run('softhsm2-util', '--show-slots')) ?? []
    await using store = await openPkcs11Store({ ...hsm.options, serial }, listener())
    expect(store.status().token).toMatchObject({ label: 'vcc', serial })
  })

  const makings: readonly { name: string; fails: KeyFailure; fault: string; what?: number }[] = [
    {
      name: 'no such mechanism',
      fails: 'hsm_mechanism_missing',
      fault: 'C_GenerateKeyPair',
      what: CKR.MECHANISM_INVALID,
    },
    { name: 'a token that lets the key out', fails: 'hsm_attributes_refused', fault: 'extractable' },
    { name: 'a signature that does not verify', fails: 'hsm_key_refused', fault: 'flipped-signature' },
    { name: 'a signature that is too short', fails: 'signer_failed', fault: 'short-signature' },
  ]
  for (const { name, fails, fault, what } of makings) {
    test(`with ${fails}, and no key stays: ${name}`, async () => {
      await using hsm = await softHsm()
      const { options, tell, heal } = await hsm.faulty()
      await using store = await openPkcs11Store(options, listener())
      await tell(fault, what)
      expect((await refusalOf(store.generate('issuing', 'P-256'))).code).toBe(fails)
      await heal(fault)
      expect(await store.list()).toEqual([])
      expect(await hsm.pkcs11Tool('--list-objects')).toBe('')
    })
  }

  test('every failure of a token has a case', async () => {
    const files = ['connection.test.ts', 'store.test.ts'].map((name) => join(import.meta.dirname, name))
    const cases = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('')
    const codes = Object.keys(KEY_FAILURES).filter((code) => code.startsWith('hsm_'))
    expect(codes.filter((code) => !cases.includes(`'${code}'`))).toEqual([])
  })
})
