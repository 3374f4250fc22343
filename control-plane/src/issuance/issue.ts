import type { Signer } from '@vcc/keys'
import { withDeadline } from '@vcc/runtime'
import {
  assembleCertificate,
  assertNamesPermitted,
  buildTbs,
  type Certificate,
  decodeCertificate,
  decodeTbsCertificate,
  issuerOf,
  lintTbs,
  type MeshNameConstraints,
  type Name,
  PROFILES,
  type ProfileName,
  type PublicKey,
  type Tbs,
  verifySignature,
  X509Error,
} from '@vcc/x509'
import type { AuditDeps } from '../audit/append.ts'
import type { Authority } from '../authority/authority.ts'
import { crlUrl, type Scope, shardOf } from '../crl/scope.ts'
import type { UnitAccess } from '../database/access.ts'
import { isUniqueViolation } from '../database/errors.ts'
import type { Unit } from '../database/unit.ts'
import { DomainError } from '../errors.ts'
import { signerProblem } from '../keys/problems.ts'
import { drawSerial } from './serial.ts'
import type { IssuanceStep } from './steps.ts'
import { abandonIntent, type CertificateRecord, completeIntent, type Intent, openIntent } from './store.ts'

/** Who asked: goes into the audit chain as a pseudonym or the name of a machine. */
export interface Requester {
  readonly type: 'human' | 'service' | 'system'
  readonly ref: string
}

export interface CertificateOrder {
  readonly issuer: Authority
  readonly profile: ProfileName
  readonly subject: Name
  readonly publicKey: PublicKey
  readonly notBefore: Date
  readonly notAfter: Date
  readonly uris?: readonly string[]
  readonly dnsNames?: readonly string[]
  readonly classOids?: readonly string[]
  readonly nameConstraints?: MeshNameConstraints
  readonly record: CertificateRecord
  readonly requester: Requester
  readonly requestId: string
  /** What the intent's row remembers of why it exists. */
  readonly references?: { readonly joinTokenId?: string; readonly predecessorSerial?: string }
  /**
   * Part of the first commit: binds the join token or idempotency key to this public key by compare-and-swap.
   * A certificate it finds already issued for the same binding is the answer, and nothing is signed.
   */
  readonly bind?: (intent: { intentId: string; serialHex: string }) => Unit<Existing | undefined>
  /** Part of the last commit: whether identity and key are still allowed, and what points at the new certificate. */
  readonly settle?: (issued: SettledCertificate) => Unit<void>
}

/** A certificate that the same binding got before. Its issuer may be an older CA than the one that would sign now. */
export interface Existing {
  readonly der: Uint8Array
  readonly issuingCaId: string
}

export interface SettledCertificate {
  readonly certId: string
  readonly serialHex: string
  readonly issuingCaId: string
  readonly der: Uint8Array
}

export interface Issued {
  readonly certificate: Certificate
  readonly issuingCaId: string
}

export interface IssueDeps {
  readonly database: UnitAccess
  readonly audit: AuditDeps
  readonly installation: { readonly oidArc: string; readonly statusUrl: string }
  /** Names this run of this process in the intents it owns. */
  readonly owner: string
  /** Told of each certificate once it is durable. */
  readonly onIssued?: (fact: { cause: string; authority: string }) => void
  /** Told of each step as it is passed. Only tests listen: they end the process there. */
  readonly onStep?: (step: IssuanceStep, order: CertificateOrder) => void
  /** 10 s unless a test wants less. */
  readonly signerDeadlineMs?: number
  readonly now: () => Date
}

const SIGNER_DEADLINE_MS = 10_000

/**
 * Issues one certificate: reserve serial, build the TBS, judge that TBS, commit the intent, sign, verify, commit the
 * certificate, answer. An intent is never signed twice; whatever stops in between leaves an orphan on record, revoked.
 *
 * Does not decide who may have which names: callers put only what registry and policy say into the order.
 *
 * @throws {DomainError} `issuance_refused` (profile, lint or name constraints), `signer_unavailable`, `hsm_…`, `issuance_lost`,
 *   and whatever `bind` and `settle` throw.
 */
export async function issue(order: CertificateOrder, deps: IssueDeps): Promise<Issued> {
  for (let attempt = 1; ; attempt++) {
    const serialHex = drawSerial()
    const tbs = admit(order, serialHex, deps)
    deps.onStep?.('admitted', order)
    const opened = await deps.database
      .runUnit(function* () {
        const begun = yield* openIntent(order, tbs, serialHex, deps)
        deps.onStep?.('intent_written', order)
        return begun
      })
      .catch((error: unknown) => {
        if (attempt < 3 && isUniqueViolation(error)) return undefined // the serial was reserved before: draw another
        throw error
      })
    if (opened === undefined) continue
    if ('existing' in opened) {
      const { der, issuingCaId } = opened.existing
      return { certificate: decodeCertificate(der), issuingCaId }
    }
    deps.onStep?.('intent_committed', order)
    return signIntent(order, tbs, opened.intent, deps)
  }
}

/** Policy, name constraints and lint on the very bytes that would be signed. */
function admit(order: CertificateOrder, serialHex: string, deps: IssueDeps): Tbs {
  const { issuer } = order
  try {
    const tbs = buildTbs({
      profile: order.profile,
      serialHex,
      issuer: issuerOf(issuer.certificate),
      subject: order.subject,
      publicKey: order.publicKey,
      notBefore: order.notBefore,
      notAfter: order.notAfter,
      oidArc: deps.installation.oidArc,
      ...(order.uris ? { uris: order.uris } : {}),
      ...(order.dnsNames ? { dnsNames: order.dnsNames } : {}),
      ...(order.classOids ? { classes: order.classOids } : {}),
      ...(order.nameConstraints ? { nameConstraints: order.nameConstraints } : {}),
      ...statusUrls(order.profile, { caId: issuer.caId, shard: shardOf(serialHex, issuer.crlShards) }, deps),
    })
    assertNamesPermitted([issuer.certificate], decodeTbsCertificate(tbs.der))
    lintTbs(tbs)
    return tbs
  } catch (cause) {
    if (cause instanceof X509Error) throw new DomainError('issuance_refused', cause.message, { cause })
    throw cause
  }
}

async function signIntent(order: CertificateOrder, tbs: Tbs, intent: Intent, deps: IssueDeps): Promise<Issued> {
  const { issuer } = order
  try {
    const der = await signTbs(tbs, issuer.signer, deps.signerDeadlineMs ?? SIGNER_DEADLINE_MS)
    deps.onStep?.('signed', order)
    await deps.database.runUnit(function* () {
      yield* completeIntent(order, intent, der, deps)
      deps.onStep?.('certificate_written', order)
    })
    deps.onStep?.('certificate_committed', order)
    deps.onIssued?.({ cause: order.record.cause, authority: issuer.name })
    return { certificate: decodeCertificate(der), issuingCaId: issuer.caId }
  } catch (error) {
    // Where even this cannot be written, the intent stays open and is resolved once its lease has ended.
    await deps.database.runUnit(() => abandonIntent(order, intent, error, deps)).catch(() => {})
    throw error
  }
}

async function signTbs(tbs: Tbs, signer: Signer, deadlineMs: number): Promise<Uint8Array> {
  let signature: Uint8Array
  try {
    signature = await withDeadline((signal) => signer.sign(tbs.der, { signal }), deadlineMs, 'signer')
  } catch (cause) {
    throw new DomainError(signerProblem(cause), 'the signing key does not answer', { cause, hint: 'try again shortly' })
  }
  if (!verifySignature(signer.algorithm, signer.publicKey, tbs.der, signature)) {
    throw new DomainError('signer_unavailable', 'the signing key gave a signature that does not verify')
  }
  return assembleCertificate(tbs, signer.algorithm, signature)
}

/** Fixed at issuance, for as long as the certificate lives. */
function statusUrls(profile: ProfileName, scope: Scope, { installation }: Pick<IssueDeps, 'installation'>) {
  const base = installation.statusUrl.replace(/\/+$/, '')
  const urls = { crlUrl: crlUrl(scope, base), caIssuersUrl: `${base}/ca/${scope.caId}.cer` }
  return PROFILES[profile].statusUrls === 'mesh' ? { ...urls, ocspUrl: `${base}/ocsp` } : urls
}
