/**
 * The control plane as `vcc-control run` starts it, but for what a test has ordered: its end by SIGKILL at a named
 * moment of an issuance, or a signing key that answers too late. For e2e/crash:
 *
 *   main.ts CONFIG MOMENT FLOW [MICROSECONDS]
 *
 * Serials are appended to `<data>.signed` as they are signed, before anybody learns of it.
 */
import { appendFileSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { decodeTbsCertificate, X509Error } from '@vcc/x509'
import type { Authorities, Authority } from '../../authority/authority.ts'
import { readControlConfig } from '../../config.ts'
import type { Handlers } from '../../http/handlers.ts'
import type { CertificateOrder } from '../../issuance/issue.ts'
import { ISSUANCE_STEPS, type IssuanceStep } from '../../issuance/steps.ts'
import { resolveAbandoned } from '../../issuance/store.ts'
import type { Core } from '../../run/core.ts'
import { run } from '../../run/run.ts'

/** Which issuance is meant. */
const FLOWS = {
  join: { route: 'meshJoin', is: ({ record }) => record.cause === 'join' },
  renewal: { route: 'meshRenew', is: ({ record }) => record.cause === 'renewal' },
  're-enrolment': { route: 'meshReEnrol', is: ({ record }) => record.cause === 're-enrolment' },
  admin: { route: 'certRequest', is: ({ record }) => record.purpose === 'admin' },
  authority: { route: 'caCreate', is: ({ record }) => record.purpose === 'ca' },
  start: { route: undefined, is: ({ record }) => record.purpose === 'control' },
  /** Each of those that somebody asks for, once. */
  each: { route: undefined, is: ({ record }) => record.cause !== 'start' },
} as const satisfies Record<string, { route: keyof Handlers | undefined; is: (order: CertificateOrder) => boolean }>

/** Moments beside the steps: in the commit that follows a step, by a thread, so many microseconds later. */
const COMMITS: Readonly<Record<string, IssuanceStep>> = {
  intent_committing: 'intent_written',
  certificate_committing: 'certificate_written',
}
const OTHERS = ['answered', 'signature_late', 'lease_taken'] as const

const [config = '', moment = '', flowName = '', microseconds = '0'] = process.argv.slice(2)
if (!([...ISSUANCE_STEPS, ...Object.keys(COMMITS), ...OTHERS] as string[]).includes(moment)) {
  throw new TypeError(`there is no moment ${moment}`)
}
if (!Object.hasOwn(FLOWS, flowName)) throw new TypeError(`there is no flow ${flowName}`)
const flow = FLOWS[flowName as keyof typeof FLOWS] // looked up the line before
const file = await readControlConfig(config)
const killer = Object.hasOwn(COMMITS, moment) ? startKiller() : undefined
/** What the next signature is for, where it is the flow's. */
let signing: string | undefined
const delayed = new Set<string>()

await run(file, {
  core: (core) => ({
    ...core,
    authorities: signingWatched(core),
    signerDeadlineMs: moment === 'signature_late' ? 300 : 10_000,
    onStep(step, order) {
      if (!flow.is(order)) return
      if (step === moment) end()
      if (step === COMMITS[moment]) killer?.()
      signing = step === 'intent_committed' ? `${order.record.purpose} ${order.record.cause}` : undefined
    },
  }),
  handlers: (handlers) => (moment === 'answered' ? { ...handlers, ...endingAfterAnswer(handlers) } : handlers),
})

function end(): void {
  process.kill(process.pid, 'SIGKILL')
}

/** The answer is computed, and nobody gets it. */
function endingAfterAnswer(handlers: Handlers): Partial<Handlers> {
  const { route } = flow
  if (route === undefined) throw new TypeError('this flow answers nobody')
  const answered = handlers[route] as (...all: unknown[]) => unknown // whichever it is, its answer is not looked at
  const ending = async (...all: unknown[]) => {
    await answered(...all)
    end()
  }
  return { [route]: ending }
}

/** A thread of its own: this one is inside SQLite when the time comes. */
function startKiller(): () => void {
  const flag = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(new URL('./killer.ts', import.meta.url), {
    workerData: { flag, microseconds: Number(microseconds) },
  })
  worker.unref()
  return () => {
    Atomics.store(flag, 0, 1)
    Atomics.notify(flag, 0)
  }
}

function signingWatched(core: Core): Authorities {
  const { authorities } = core
  const watched = (authority: Authority): Authority => {
    const { signer } = authority
    return {
      ...authority,
      signer: {
        ...signer,
        async sign(bytes, options) {
          const isFirst = signing !== undefined && !delayed.has(signing)
          if (isFirst) delayed.add(signing ?? '')
          if (isFirst && moment === 'lease_taken') await resolveAbandoned({ before: anHourFrom(core.now()) }, core)
          if (isFirst && moment === 'signature_late') await wait(1000)
          // The deadline is the caller's to keep: a key in a device signs what it was given, whoever waits.
          const signature = await signer.sign(bytes, isFirst ? {} : options)
          const serialHex = serialOf(bytes)
          if (serialHex !== undefined) appendFileSync(`${file.data}.signed`, `${serialHex}\n`)
          return signature
        },
      },
    }
  }
  return {
    ...authorities,
    byId: (caId) => watched(authorities.byId(caId)),
    issuing: (...which) => watched(authorities.issuing(...which)),
    root: (name) => watched(authorities.root(name)),
  }
}

/** Of a certificate; CAs sign CRLs, too. */
function serialOf(tbs: Uint8Array): string | undefined {
  try {
    return decodeTbsCertificate(tbs).serialHex
  } catch (error) {
    if (error instanceof X509Error) return undefined
    throw error
  }
}

function anHourFrom(at: Date): Date {
  return new Date(at.getTime() + 3_600_000)
}
