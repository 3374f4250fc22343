import { ApiProblem } from '@vcc/api'
import { memorySigner } from '@vcc/keys'
import { verifyCsr } from '@vcc/x509'
import {
  call,
  csrOf,
  type Installation,
  type Joined,
  joinWith,
  newInstance,
  newToken,
  serialOf,
} from './installation.ts'

/** One request for a certificate, with all that a repeat of it needs. */
export interface Request {
  /** SHA-256 of the key it asks for, hex; undefined where the control plane makes the key. */
  readonly key: string | undefined
  /** Names the certificate where the key does not. */
  readonly name: string
  /** Sends it, and answers the serial. A repeat says the same again. */
  readonly send: (on: Installation) => Promise<string>
}

/** A way to get a certificate. What a case uses up is made ahead, in the installation that the copies are of. */
export interface Flow {
  readonly name: string
  readonly prepare: (on: Installation, cases: number) => Promise<(index: number) => Promise<Request>>
}

export const FLOWS: readonly Flow[] = [
  {
    name: 'join',
    async prepare(on, cases) {
      const tokens = await inOrder(cases, () => newToken(on))
      return async (index) => {
        const { csr, key } = await newKey()
        return { key, name: '', send: async (at) => serialOf((await joinWith(at, tokens[index] ?? '', csr)).chain) }
      }
    },
  },
  {
    name: 'renewal',
    prepare: instances(async (at, who, csr) => {
      const body = { envelope: await who.envelope('renew', csr) }
      return (await call(at, who, (api) => api.call('meshRenew', { body }))).chain
    }),
  },
  {
    name: 're-enrolment',
    prepare: instances(async (at, who, csr) => {
      const body = { envelope: await who.envelope('re-enrol', csr) }
      return (await call(at, undefined, (api) => api.call('meshReEnrol', { body }))).chain
    }),
  },
  {
    name: 'admin',
    prepare: async () => async (index) => {
      const { csr, key } = await newKey()
      const body = { template: 'vcc-admin', account: 'ada', csr, idempotency_key: `crash-safe-${index}` } as const
      const send = async (at: Installation) =>
        (await call(at, at.admin, (api) => api.call('certRequest', { body }))).serial_number
      return { key, name: '', send }
    },
  },
  {
    name: 'authority',
    prepare: async () => async (index) => {
      const name = `crash-${String(index).padStart(2, '0')}`
      return { key: undefined, name, send: (at) => newAuthority(at, name) }
    },
  },
]

/** An instance for each case, which asks for its next certificate. */
function instances(ask: (at: Installation, who: Joined, csr: string) => Promise<readonly string[]>): Flow['prepare'] {
  return async (on, cases) => {
    const joined = await inOrder(cases, () => newInstance(on))
    return async (index) => {
      const who = joined[index]
      if (who === undefined) throw new Error(`no instance was made for case ${index}`)
      const { csr, key } = await newKey()
      return { key, name: '', send: async (at) => serialOf(await ask(at, who, csr)) }
    }
  }
}

/** A CA has a name and no idempotency key: a repeat of what was done is told so, and finds it in the list. */
async function newAuthority(on: Installation, name: string): Promise<string> {
  return call(on, on.admin, async (api) => {
    try {
      await api.call('caCreate', { body: { kind: 'services', name } })
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.code !== 'authority_exists') throw error
    }
    const { items } = await api.call('caList', {})
    const made = items.find((one) => one.name === name && one.state === 'active')
    const { items: certificates } = await api.call('certList', { query: { purpose: 'ca' } })
    const own = certificates.find((one) => one.state === 'valid' && one.subject_dn === made?.subject_dn)
    if (own === undefined) throw new Error(`there is no CA ${name}`)
    return own.serial_number
  })
}

async function newKey(): Promise<{ csr: string; key: string }> {
  const csr = await csrOf(await memorySigner('api', 'P-256'))
  return { csr, key: verifyCsr(Uint8Array.fromBase64(csr)).publicKey.spkiSha256Hex }
}

async function inOrder<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  const made: T[] = []
  while (made.length < count) made.push(await make())
  return made
}
