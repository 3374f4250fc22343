import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { environment } from '@vcc/runtime'
import type { Pkcs11Events, Pkcs11Options } from '../pkcs11/connection.ts'

export const SOFTHSM_MODULE = '/usr/lib/softhsm/libsofthsm2.so'
export const hasSoftHsm: boolean = existsSync(SOFTHSM_MODULE)

const runFile = promisify(execFile)

/** SoftHSM with a token of its own, in a folder of its own. */
export async function softHsm() {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-softhsm-'))
  const config = join(folder, 'softhsm2.conf')
  const tokens = join(folder, 'tokens')
  const away = join(folder, 'away')
  const faults = join(folder, 'faults')
  for (const each of [tokens, away, faults]) await mkdir(each)
  await writeFile(config, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`)
  const variables = { SOFTHSM2_CONF: config, FAULTY_MODULE: faults }
  const env = { ...environment(), ...variables }
  const run = async (command: string, ...args: string[]) => (await runFile(command, args, { env })).stdout
  const initToken = (label: string) =>
    run('softhsm2-util', '--init-token', '--free', '--label', label, '--pin', PIN, '--so-pin', '87654321')
  await initToken('vcc')
  const options: Pkcs11Options = {
    module: SOFTHSM_MODULE,
    environment: variables,
    label: 'vcc',
    readPin: async () => PIN,
    sessions: 3,
    queue: 100,
    timeoutMs: 20_000,
    keepAliveMs: 60_000,
  }
  return {
    folder,
    /** Tokens are folders: away from this place, they are not in their slots. */
    takeOut: () => moveAll(tokens, away),
    putBack: () => moveAll(away, tokens),
    run,
    options,
    initToken,
    /** Somebody else's look at the token. */
    pkcs11Tool: (...args: string[]) =>
      run('pkcs11-tool', '--module', SOFTHSM_MODULE, '--token-label', 'vcc', '--login', '--pin', PIN, ...args),
    openssl: (...args: string[]) => run('openssl', ...args),
    /** The same token behind a module that fails as told; see `faulty-module.cpp`. */
    async faulty() {
      const module = join(folder, 'faulty.so')
      const headers = join(dirname(createRequire(import.meta.url).resolve('pkcs11js')), 'includes')
      const source = fileURLToPath(new URL('./faulty-module.cpp', import.meta.url))
      await run('g++', '-shared', '-fPIC', '-I', headers, '-o', module, source)
      return {
        options: { ...options, module },
        tell: (name: string, what: string | number = '') => writeFile(join(faults, name), String(what)),
        heal: (name: string) => rm(join(faults, name)),
        /** How often the module was asked for this. */
        calls: async (name: string) => {
          const text = await readFile(join(faults, 'calls'), 'utf8').catch(() => '')
          return text.split('\n').filter((line) => line === name).length
        },
      }
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

export type SoftHsm = Awaited<ReturnType<typeof softHsm>>

async function moveAll(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) await rename(join(from, name), join(to, name))
}

/** What a connection tells, kept. */
export function listener() {
  const told = {
    started: [] as number[],
    lost: [] as string[],
    unavailable: [] as string[],
    outcomes: [] as string[],
  }
  const events: Pkcs11Events = {
    started: ({ pid }) => told.started.push(pid),
    lost: ({ why }) => told.lost.push(why),
    unavailable: ({ code }) => told.unavailable.push(code),
    operation: ({ operation, outcome }) => told.outcomes.push(`${operation} ${outcome}`),
  }
  return { ...told, events }
}

const PIN = '1234'

/** CKR_… by number (PKCS#11 v2.40 §A). */
export const CKR = {
  FUNCTION_FAILED: 0x06,
  DEVICE_ERROR: 0x30,
  DEVICE_REMOVED: 0x32,
  KEY_HANDLE_INVALID: 0x60,
  MECHANISM_INVALID: 0x70,
  PIN_INCORRECT: 0xa0,
  SESSION_HANDLE_INVALID: 0xb3,
  SESSION_COUNT: 0xb1,
  TOKEN_NOT_PRESENT: 0xe0,
  USER_NOT_LOGGED_IN: 0x101,
  RANDOM_NO_RNG: 0x121,
} as const
