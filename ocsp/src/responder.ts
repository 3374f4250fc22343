import { type CertId, encodeOcspRequest } from '@vcc/x509'
import { type Answer, errorAnswer, latin1Of, type Outcome } from './answer.ts'
import { answerCache } from './answer-cache.ts'
import { type Asked, askedReader } from './asked.ts'
import { DEFAULT_LIMITS, DEFAULT_POLICY, type IssuerPolicy, type ResponderLimits } from './policy.ts'
import { OcspRefusal, REFUSALS } from './refusal.ts'
import type { ResponderKey } from './responder-key.ts'
import { answerTimes, signAnswer } from './sign-answer.ts'
import { signingGate } from './signing-gate.ts'
import type { CertificateStatus, ServedIssuer, Standing, StatusSource } from './status-source.ts'
import { newTally, outcomesOf, type SigningCause, type Tally } from './tally.ts'

export interface ResponderDeps {
  readonly source: StatusSource
  /** The key that signs for this issuer now: the same object until another takes over (see `currentResponderKey`). */
  readonly keyOf: (issuerId: string) => ResponderKey | undefined
  readonly policyOf?: (issuerId: string) => IssuerPolicy
  readonly limits?: ResponderLimits
  readonly now: () => Date
  /** False while the clock is known to be wrong: nothing is answered then. */
  readonly isClockGood?: () => boolean
  /** Is told of every certificate that was asked about (see `answerLog`). */
  readonly onAnswer?: (issuerId: string, serialHex: string, outcome: Outcome) => void
  /** A request that failed for a reason on our side. May come with every request: the receiver bounds what it logs. */
  readonly onFailure?: (refusal: OcspRefusal) => void
}

export interface Responder {
  /**
   * Answers one OCSPRequest; at once where the answer is kept, and never by throwing: what cannot be answered is an OCSP
   * error.
   */
  readonly respond: (requestDer: Uint8Array) => Answer | Promise<Answer>
  readonly tally: Readonly<Tally>
  /** How much is under way and kept. */
  readonly load: () => { signing: number; waiting: number; answers: number; octets: number }
}

/** An answer about one certificate that may be given again. */
interface Kept {
  readonly answer: Answer
  readonly issuer: ServedIssuer
  readonly issuers: readonly ServedIssuer[]
  readonly serialHex: string
  readonly status: CertificateStatus
  readonly key: ResponderKey
  readonly thisUpdate: number
  /** Half of its life: after that it is signed anew. */
  readonly freshUntil: number
  readonly outcomes: Record<Outcome, number>
  generation: number
}

/** A signature that several requests wait for. */
interface Flight {
  readonly generation: number
  readonly key: ResponderKey
  readonly answer: Promise<Answer>
}

/**
 * The responder as RFC 6960 and RFC 9919 have it, over a source of statuses and one delegated key per issuer.
 *
 * Answers are signed when first asked for, and kept by CertID. A kept answer is given again only while the source's generation,
 * the issuers and the key are those it was made under; after a change its status is asked for again first. So a revocation
 * shows in the next answer. Never `good` for what the source does not call so, never past the source's or the key's own end.
 */
export function createResponder(deps: ResponderDeps): Responder {
  const { source, keyOf, policyOf = () => DEFAULT_POLICY, limits = DEFAULT_LIMITS, onAnswer } = deps
  const isClockGood = deps.isClockGood ?? (() => true)
  const nowSeconds = (): number => Math.floor(deps.now().getTime() / 1000)
  const read = askedReader({ issuers: source.issuers, policyOf, keyOf, now: deps.now })
  const cache = answerCache<Kept>(limits.cacheBytes)
  const gate = signingGate(limits)
  const underWay = new Map<string, Flight>()
  const tally = newTally()
  /** The last instant signed for: the clock must not go back behind it. */
  let signedUpTo = 0

  function respond(requestDer: Uint8Array): Answer | Promise<Answer> {
    tally.requests += 1
    tally.requestOctets += requestDer.length
    try {
      // The shortest request that asks for an answer is the answer's name: a request without nonce, extensions and signature is
      // found without being decoded.
      const kept = cache.get(latin1Of(requestDer))
      const seconds = nowSeconds()
      if (kept !== undefined && whyNot(kept, seconds) === undefined) return repeat(kept, seconds)
      return respondLive(requestDer)
    } catch (error) {
      return refuse(error, undefined)
    }
  }

  async function respondLive(requestDer: Uint8Array): Promise<Answer> {
    let asked: Asked | undefined
    try {
      asked = read(requestDer)
      const { certIds, nonce, policy } = asked
      // What is kept is found before anybody looks at who asks, so it is for everybody.
      const isKeepable = certIds.length === 1 && nonce === undefined && policy.requestors === undefined
      return await (isKeepable ? answerKeepable(asked, certIds[0]) : answerOnce(asked))
    } catch (error) {
      return refuse(error, asked)
    }
  }

  function repeat(kept: Kept, seconds: number): Answer {
    const { answer, issuer, serialHex } = kept
    tally.causes.repeated += 1
    tally.ageSeconds += seconds - kept.thisUpdate
    kept.outcomes[answer.outcome] += 1
    onAnswer?.(issuer.id, serialHex, answer.outcome)
    return answer
  }

  /** What keeps an answer from being given again; undefined when nothing does. */
  function whyNot(kept: Kept, seconds: number): SigningCause | undefined {
    const standing = source.standing()
    if (keyOf(kept.issuer.id) !== kept.key) return 'rekeyed'
    if (seconds >= kept.freshUntil || whyUnusable(standing, seconds) !== undefined) return 'aged'
    return kept.generation === standing.generation && kept.issuers === source.issuers() ? undefined : 'changed'
  }

  function whyUnusable(standing: Standing, seconds: number): OcspRefusal | undefined {
    if (!isClockGood() || seconds + CLOCK_TOLERANCE_SECONDS < Math.max(standing.asOfSeconds, signedUpTo)) {
      return new OcspRefusal('clock_wrong', 'the clock is wrong, or behind what was signed or known before')
    }
    if (seconds > standing.validUntilSeconds) {
      return new OcspRefusal('source_outdated', 'the source of statuses may not be used any more')
    }
    return undefined
  }

  async function answerKeepable(asked: Asked, certId: CertId): Promise<Answer> {
    const name = latin1Of(encodeOcspRequest([certId.der]))
    const kept = cache.get(name)
    const seconds = nowSeconds()
    const cause = kept === undefined ? 'new' : whyNot(kept, seconds)
    if (kept !== undefined && cause === undefined) return repeat(kept, seconds)
    const { generation } = source.standing()
    let flight = underWay.get(name)
    // An answer that was begun before a revocation is not good enough for who asks after it.
    if (flight?.generation !== generation || flight.key !== asked.key) {
      flight = { generation, key: asked.key, answer: renew(asked, certId, name, kept, cause ?? 'new') }
      take(name, flight)
    }
    const answer = await flight.answer
    count(asked, [certId], answer.outcome)
    return answer
  }

  function take(name: string, flight: Flight): void {
    underWay.set(name, flight)
    const land = (): void => {
      if (underWay.get(name) === flight) underWay.delete(name)
    }
    flight.answer.then(land, land)
  }

  /** Asks for the status again, and signs unless the change was about something else. */
  function renew(asked: Asked, certId: CertId, name: string, kept: Kept | undefined, cause: SigningCause) {
    return gate.run(async (signal) => {
      const standing = usableStanding()
      const status = await statusOf(asked, certId, signal)
      if (kept !== undefined && cause === 'changed' && kept.issuers === asked.issuers && isSame(kept.status, status)) {
        tally.causes.confirmed += 1
        kept.generation = standing.generation
        return kept.answer
      }
      tally.causes[cause] += 1
      const signed = await sign(asked, [status], standing, signal)
      const { answer, times, signedAt } = signed
      if (answer.caching === undefined) return answer
      const entry: Kept = {
        answer,
        issuer: asked.issuer,
        issuers: asked.issuers,
        serialHex: certId.serialHex,
        status,
        key: asked.key,
        thisUpdate: times.thisUpdate,
        freshUntil: signedAt + Math.floor((times.nextUpdate - signedAt) / 2),
        outcomes: outcomesOf(tally, asked.issuer.id),
        generation: standing.generation,
      }
      cache.set(name, entry, 2 * answer.der.length + 2 * name.length + KEPT_OVERHEAD_OCTETS)
      return answer
    })
  }

  /** An answer for one request alone. */
  async function answerOnce(asked: Asked): Promise<Answer> {
    const answer = await gate.run(async (signal) => {
      const standing = usableStanding()
      const statuses = await Promise.all(asked.certIds.map((certId) => statusOf(asked, certId, signal)))
      tally.causes.live += 1
      const signed = await sign(asked, statuses, standing, signal)
      return signed.answer
    })
    count(asked, asked.certIds, answer.outcome)
    return answer
  }

  /** The standing before a status is asked for, so that no status is older than it says. */
  function usableStanding(): Standing {
    const standing = source.standing()
    const refusal = whyUnusable(standing, nowSeconds())
    if (refusal !== undefined) throw refusal
    return standing
  }

  async function statusOf(asked: Asked, certId: CertId, signal: AbortSignal): Promise<CertificateStatus> {
    try {
      return await source.status(asked.issuer.id, certId.serialHex, signal)
    } catch (cause) {
      throw new OcspRefusal('source_failed', 'the source of statuses failed', { cause })
    }
  }

  async function sign(asked: Asked, statuses: CertificateStatus[], standing: Standing, signal: AbortSignal) {
    const { policy, certIds, nonce, key } = asked
    if (policy.neverIssued === 'unauthorized' && statuses.every(isNeverIssued)) {
      throw new OcspRefusal('never_issued', 'the issuer never issued that')
    }
    const signedAt = nowSeconds()
    const times = answerTimes(policy, key, standing, signedAt)
    const toSign = { certIds, statuses, nonce, times, policy }
    const answer = await signAnswer(toSign, key, signal)
    signedUpTo = Math.max(signedUpTo, times.producedAt)
    return { answer, times, signedAt }
  }

  function refuse(error: unknown, asked: Asked | undefined): Answer {
    const refusal =
      error instanceof OcspRefusal ? error : new OcspRefusal('source_failed', 'an unexpected error', { cause: error })
    if (refusal.cause !== undefined) deps.onFailure?.(refusal)
    tally.refusals[refusal.code] += 1
    const answer = errorAnswer(REFUSALS[refusal.code].answer)
    count(asked, asked?.certIds ?? [], answer.outcome)
    return answer
  }

  function count(asked: Asked | undefined, certIds: readonly CertId[], outcome: Outcome): void {
    const issuerId = asked?.issuer.id ?? ''
    outcomesOf(tally, issuerId)[outcome] += 1
    if (onAnswer !== undefined) for (const { serialHex } of certIds) onAnswer(issuerId, serialHex, outcome)
  }

  return {
    respond,
    tally,
    load: () => ({ signing: gate.running, waiting: gate.waiting, answers: cache.size, octets: cache.octets }),
  }
}

function isNeverIssued(status: CertificateStatus): boolean {
  return status.status === 'unknown' && status.why === 'never_issued'
}

function isSame(a: CertificateStatus, b: CertificateStatus): boolean {
  if (a.status !== 'revoked' || b.status !== 'revoked') return a.status === 'good' && b.status === 'good'
  const suspected = (of: { invalidityDate?: Date }): number | undefined => of.invalidityDate?.getTime()
  return a.at.getTime() === b.at.getTime() && a.reason === b.reason && suspected(a) === suspected(b)
}

const CLOCK_TOLERANCE_SECONDS = 300
/** What a kept answer takes beside its octets: headers, the map, the objects around. */
const KEPT_OVERHEAD_OCTETS = 1024
