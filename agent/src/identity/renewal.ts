import { instanceTopics, instantOf } from '@vcc/mesh'
import { backoffMs } from '@vcc/runtime'
import { buildCsr } from '@vcc/x509'
import { derOf, parseIssued } from '../control/answers.ts'
import type { ApiLink } from '../control/api-link.ts'
import type { BrokerLink } from '../control/broker-link.ts'
import { AgentError, reasonOf } from '../errors.ts'
import type { Answers } from '../report/answers.ts'
import { sealed } from '../report/uplink.ts'
import type { StateKeeper } from '../state/keeper.ts'
import type { MeshTrust } from '../trust/trust-files.ts'
import { type Identity, verifyIdentity } from './identity.ts'
import type { IdentityFiles } from './identity-file.ts'
import type { AgentKey } from './key.ts'
import { isDemanded, planRenewal, type RenewalFailureFact, type RenewalPlan } from './renewal-plan.ts'

export interface RenewalDeps {
  readonly identity: () => Identity
  readonly files: IdentityFiles
  readonly trust: () => MeshTrust
  readonly keeper: () => StateKeeper
  readonly api: ApiLink
  readonly broker: BrokerLink
  readonly answers: Answers
  /** The new certificate is on the disk; it is served when this resolves. */
  readonly onRenewed: (next: Identity, why: string) => Promise<void>
  /** A key that was stored for a request cannot be used, and is replaced. */
  readonly onPendingRefused: (code: string, error: unknown) => void
  readonly onFailed: (fact: { why: string; code: string; failures: number; waitMs: number }, error: unknown) => void
  readonly now: () => Date
  /** Ends the waiting for an answer: the agent ends. */
  readonly signal: AbortSignal
}

const REPLY_MS = 8000
const BACKOFF = { baseMs: 1000, capMs: 300_000 }
const SLOW_BACKOFF = { baseMs: 60_000, capMs: 3_600_000 }
/** Refusals that only a person lifts: asked again, so that it is noticed, but rarely. */
const FOR_A_PERSON: ReadonlySet<string> = new Set([
  'identity_unknown',
  'identity_revoked',
  'service_not_in_matrix',
  're_enrolment_too_late',
])

/** The certificate over time: when the next one is due, and the getting of it. */
export class Renewal {
  #lastSuccess: Date | undefined
  #lastFailure: RenewalFailureFact | undefined
  #clockBehindSince: Date | undefined
  readonly #deps: RenewalDeps

  constructor(deps: RenewalDeps) {
    this.#deps = deps
  }

  /** What comes next, and when; see `planRenewal`. */
  plan(): RenewalPlan {
    const keeper = this.#deps.keeper()
    const clock = keeper.clock()
    this.#clockBehindSince = clock.state === 'behind' ? (this.#clockBehindSince ?? clock.at) : undefined
    const { leaf } = this.#deps.identity()
    return planRenewal({
      now: clock.at,
      clockBehindSince: this.#clockBehindSince,
      serialHex: leaf.serialHex,
      notBefore: leaf.notBefore,
      notAfter: leaf.notAfter,
      issuedAfter: this.#issuedAfter(),
      lastSuccess: this.#lastSuccess,
      lastFailure: this.#lastFailure,
    })
  }

  get failure(): RenewalFailureFact | undefined {
    return this.#lastFailure
  }

  /** Does what the plan says, if it is time. A failure is told and remembered, not thrown; the end of the agent is none. */
  async tend(): Promise<void> {
    const plan = this.plan()
    if (plan.kind === 'stop' || plan.at > this.#deps.keeper().clock().at) return
    try {
      const next = await this.#request(plan.kind)
      const failures = this.#lastFailure
      this.#lastSuccess = this.#now()
      this.#lastFailure = undefined
      await this.#deps.onRenewed(next, plan.why)
      if (isDemanded({ notBefore: next.leaf.notBefore, issuedAfter: this.#issuedAfter() })) {
        // Another one at once would be no younger: without the backoff this would be a storm.
        this.#lastFailure = failures
        throw new AgentError('identity_refused', 'the new certificate is older than signed state demands', {
          reason: 'renewal_too_old',
        })
      }
    } catch (error) {
      if (this.#deps.signal.aborted) return
      const failures = (this.#lastFailure?.failures ?? 0) + 1
      const code = reasonOf(error)
      const waitMs = backoffMs(failures, FOR_A_PERSON.has(code) ? SLOW_BACKOFF : BACKOFF)
      this.#lastFailure = { at: this.#now(), failures, waitMs, code }
      this.#deps.onFailed({ why: plan.why, code, failures, waitMs }, error)
    }
  }

  /** The pending key is on the disk before its CSR leaves, and the new pair before the old one is given up. */
  async #request(kind: 'renew' | 're-enrol'): Promise<Identity> {
    const { files, identity, trust } = this.#deps
    const key = await this.#nextKey()
    const chainDer = kind === 'renew' ? await this.#renew(key) : await this.#reEnrol(key)
    const { root, statement } = trust()
    const classes = this.#deps.keeper().agent?.content.classOids
    const { instance, workload } = identity()
    const next = verifyIdentity(
      { key, chainDer },
      {
        root,
        oidArc: statement.oidArc,
        classOids: classes && Object.values(classes),
        expected: { instance, workload },
        now: this.#now(),
      },
    )
    await files.write({ key, chainDer })
    await files.dropPending()
    return next
  }

  /** The key of a request whose answer was lost, or a new one; never the one in use, which a crash may have left there. */
  async #nextKey(): Promise<AgentKey> {
    const { files, identity, onPendingRefused } = this.#deps
    const pending = await files.pendingKey().catch(async (error: unknown) => {
      if (!(error instanceof AgentError)) throw error
      onPendingRefused(reasonOf(error), error)
      await files.dropPending()
      return await files.pendingKey()
    })
    if (pending.publicKey.spkiSha256Hex !== identity().key.publicKey.spkiSha256Hex) return pending
    await files.dropPending()
    return await files.pendingKey()
  }

  #issuedAfter(): Date | undefined {
    const demanded = this.#deps.keeper().agent?.content.certificateIssuedAfter ?? null
    return demanded === null ? undefined : instantOf(demanded)
  }

  #now(): Date {
    return this.#deps.keeper().clock().at
  }

  /** Over MQTT, or over HTTPS when the broker is away or nobody answers there. */
  async #renew(key: AgentKey): Promise<readonly Uint8Array[]> {
    const { api, broker, answers, signal } = this.#deps
    const body = { csr: await csrOf(key) }
    if (broker.isConnected()) {
      const { jws, sent } = await sealed('renew', body, this.#deps)
      const answer = answers.await(sent, REPLY_MS, signal)
      if (await broker.publish(instanceTopics(sent.instance).up.renew, jws)) {
        const reply = await answer
        signal.throwIfAborted()
        if (reply?.ok === false) throw refused(reply.problem)
        if (reply?.ok === true && reply.kind === 'certificate') return reply.chain.map(derOf)
      }
    }
    const { jws } = await sealed('renew', body, this.#deps)
    return parseIssued(await api.call('meshRenew', { body: { envelope: jws } })).chain.map(derOf)
  }

  async #reEnrol(key: AgentKey): Promise<readonly Uint8Array[]> {
    const { jws } = await sealed('re-enrol', { csr: await csrOf(key) }, this.#deps)
    return parseIssued(await this.#deps.api.anonymous('meshReEnrol', { body: { envelope: jws } })).chain.map(derOf)
  }
}

async function csrOf(key: AgentKey): Promise<string> {
  return Buffer.from(await buildCsr(key)).toString('base64')
}

function refused(problem: { code: string; title: string; detail?: string }): AgentError {
  return new AgentError('control_refused', `the control plane refuses: ${problem.detail ?? problem.title}`, {
    reason: problem.code,
  })
}
