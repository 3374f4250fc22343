import { errorCode } from '@vcc/runtime'
import { assembleOcspResponse, type CertId, encodeOcspResponseData, type OcspSingle, type OcspStatus } from '@vcc/x509'
import { type Answer, cachingOf, type Outcome } from './answer.ts'
import type { IssuerPolicy } from './policy.ts'
import { OcspRefusal } from './refusal.ts'
import type { ResponderKey } from './responder-key.ts'
import type { CertificateStatus, Standing } from './status-source.ts'

/** The instants of an answer, in seconds of Unix time. */
export interface AnswerTimes {
  readonly thisUpdate: number
  readonly producedAt: number
  readonly nextUpdate: number
  /** nextUpdate where the status is `unknown`, which may change at any moment. */
  readonly unknownUntil: number
}

/**
 * When an answer made now begins and ends: at the source's watermark, and never after the certificate of its key, since a
 * verifier that believes the one has to believe the other.
 *
 * @throws {OcspRefusal} `source_outdated` when it would be over already; `responder_key_missing` when the key is not in force
 */
export function answerTimes(
  policy: IssuerPolicy,
  key: ResponderKey,
  standing: Standing,
  nowSeconds: number,
): AnswerTimes {
  const notBefore = key.certificate.notBefore.getTime() / 1000
  const notAfter = key.certificate.notAfter.getTime() / 1000
  if (nowSeconds < notBefore || nowSeconds > notAfter) {
    throw new OcspRefusal('responder_key_missing', 'the certificate of the responder key is not in force')
  }
  const thisUpdate = standing.asOfSeconds
  const producedAt = Math.max(nowSeconds, thisUpdate)
  const ends = policy.isFinal === true ? END_OF_TIME : Math.min(thisUpdate + policy.validitySeconds, notAfter)
  if (ends <= nowSeconds)
    throw new OcspRefusal('source_outdated', 'what the source knows is older than an answer may be')
  return {
    thisUpdate,
    producedAt,
    nextUpdate: ends,
    unknownUntil: Math.min(producedAt + UNKNOWN_SECONDS, notAfter),
  }
}

export interface ToSign {
  readonly certIds: readonly CertId[]
  /** One for each CertID. */
  readonly statuses: readonly CertificateStatus[]
  readonly nonce: Uint8Array | undefined
  readonly times: AnswerTimes
  readonly policy: IssuerPolicy
}

/** @throws {OcspRefusal} `signer_failed`, `deadline_passed` */
export async function signAnswer(toSign: ToSign, key: ResponderKey, signal: AbortSignal): Promise<Answer> {
  const { certIds, statuses, nonce, times, policy } = toSign
  const { retentionSeconds, requestors } = policy
  const producedAt = instant(times.producedAt)
  const archiveCutoff = retentionSeconds === undefined ? undefined : instant(times.producedAt - retentionSeconds)
  const singles = certIds.map((certId, i): OcspSingle => {
    const status = toWire(statuses[i])
    return {
      certIdDer: certId.der,
      status,
      thisUpdate: instant(times.thisUpdate),
      nextUpdate: instant(status.status === 'unknown' ? times.unknownUntil : times.nextUpdate),
      archiveCutoff,
    }
  })
  const data = encodeOcspResponseData(key.encoding, { producedAt, singles, nonce })
  const signature = await key.signer.sign(data, { signal }).catch((cause: unknown) => {
    const isLate = signal.aborted || errorCode(cause) === 'signer_deadline'
    throw new OcspRefusal(isLate ? 'deadline_passed' : 'signer_failed', 'the responder key did not sign', { cause })
  })
  const der = assembleOcspResponse(key.encoding, data, signature)
  const outcome = worstOf(singles)
  const isKeepable = nonce === undefined && outcome !== 'unknown' && requestors === undefined
  return { der, outcome, caching: isKeepable ? cachingOf(der, times.thisUpdate, times.nextUpdate) : undefined }
}

/** Why a certificate is unknown is nobody's business outside. */
function toWire(status: CertificateStatus | undefined): OcspStatus {
  return status === undefined || status.status === 'unknown' ? UNKNOWN : status
}

/** What an answer about several certificates counts as. */
function worstOf(singles: readonly OcspSingle[]): Outcome {
  if (singles.some(({ status }) => status.status === 'unknown')) return 'unknown'
  return singles.some(({ status }) => status.status === 'revoked') ? 'revoked' : 'good'
}

const instant = (seconds: number): Date => new Date(seconds * 1000)

const UNKNOWN = { status: 'unknown' } as const
const UNKNOWN_SECONDS = 60
/** 9999-12-31T23:59:59Z, "no well-defined expiration": RFC 5280 §4.1.2.5 */
const END_OF_TIME = 253_402_300_799
