import { memorySigner } from '@vcc/keys'
import { currentResponderKey, type ResponderKey, responderKey } from '@vcc/ocsp'
import { encodeName } from '@vcc/x509'
import type { Authorities, Authority } from '../authority/authority.ts'
import { type IssueDeps, issue } from '../issuance/issue.ts'

export interface ResponderKeysDeps extends IssueDeps {
  readonly authorities: Authorities
}

/** The delegated keys of the embedded responder, one CA at a time with an overlap. */
export interface ResponderKeys {
  readonly keyOf: (caId: string) => ResponderKey | undefined
  readonly all: () => Iterable<readonly [caId: string, key: ResponderKey]>
  /** Makes a key and a certificate for each CA that lacks one or whose is past half of its life. Failures hold up no other. */
  readonly renew: () => Promise<void>
}

/** CAs whose certificates name a responder: what they issued is asked about. */
export function answeringCas(authorities: Authorities, at: Date): readonly Authority[] {
  return authorities.all().filter((one) => ANSWERED.has(one.profile) && one.certificate.notAfter > at)
}

/**
 * Keys live in this process and nowhere else; each start makes new ones. The old certificate stays in use until the new
 * one is in force, and no answer outlives the certificate it is signed under.
 */
export function createResponderKeys(deps: ResponderKeysDeps): ResponderKeys {
  const rings = new Map<string, readonly ResponderKey[]>()
  const ringOf = (caId: string) => rings.get(caId) ?? []
  const keyOf = (caId: string) => currentResponderKey(ringOf(caId), deps.now())
  return {
    keyOf,
    *all() {
      for (const caId of rings.keys()) {
        const key = keyOf(caId)
        if (key !== undefined) yield [caId, key]
      }
    },
    async renew() {
      const failures: unknown[] = []
      for (const authority of answeringCas(deps.authorities, deps.now())) {
        if (!authority.active || !isDue(keyOf(authority.caId), deps.now())) continue
        try {
          const living = ringOf(authority.caId).filter((one) => one.certificate.notAfter > deps.now())
          rings.set(authority.caId, [...living, await delegate(authority, deps)])
        } catch (error) {
          failures.push(error)
        }
      }
      if (failures.length > 0) throw new AggregateError(failures, 'no new OCSP responder certificate')
    },
  }
}

function isDue(key: ResponderKey | undefined, at: Date): boolean {
  if (key === undefined) return true
  const { notBefore, notAfter } = key.certificate
  return at.getTime() > (notBefore.getTime() + notAfter.getTime()) / 2
}

async function delegate(issuer: Authority, deps: ResponderKeysDeps): Promise<ResponderKey> {
  const signer = await memorySigner('ocsp', 'P-256')
  const startMs = Math.floor(deps.now().getTime() / 1000) * 1000 - BACKDATE_MS
  const { certificate } = await issue(
    {
      issuer,
      profile: 'ocsp-responder',
      subject: encodeName([
        { type: 'CN', value: `OCSP responder of ${issuer.name.replaceAll('.', ' ')}`.slice(0, 64) },
      ]),
      publicKey: signer.publicKey,
      notBefore: new Date(startMs),
      notAfter: new Date(Math.min(startMs + BACKDATE_MS + VALIDITY_MS, issuer.certificate.notAfter.getTime())),
      record: {
        organization: null,
        serviceId: null,
        instanceId: null,
        className: null,
        template: null,
        purpose: 'ocsp',
        cause: 'start',
        autoRenewal: true,
      },
      requester: { type: 'system', ref: 'vcc-control' },
      requestId: `start-${deps.owner}`,
    },
    deps,
  )
  return responderKey(certificate, signer)
}

/** Those whose profile puts the responder's URL into what they issue. */
const ANSWERED: ReadonlySet<string> = new Set(['mesh-root', 'services-ca', 'external-ca', 'admin-ca', 'control-ca'])
const VALIDITY_MS = 7 * 86_400_000
const BACKDATE_MS = 300_000
