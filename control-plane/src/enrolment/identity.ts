import { randomInt } from 'node:crypto'
import { type PolicyIndex, type WorkloadId, workloadId } from '@vcc/policy'
import { encodeName, type VerifiedCsr } from '@vcc/x509'
import type { Authorities } from '../authority/authority.ts'
import { DomainError } from '../errors.ts'
import type { Installation } from '../installation/installation.ts'
import type { CertificateOrder, Requester } from '../issuance/issue.ts'
import type { Cause } from '../issuance/store.ts'
import type { ServiceRow } from '../registry/store.ts'
import type { Template } from '../templates/template.ts'

export interface IdentityDeps {
  readonly authorities: Authorities
  readonly installation: Installation
  readonly policyInForce: () => PolicyIndex | undefined
  readonly serviceTemplate: Template
  readonly now: () => Date
}

/** Skew tolerance: the certificate is valid this long before it is made. */
export const BACKDATE_MS = 300_000

/**
 * The order for an instance's certificate. Names come from registry and installation, the class from the policy in
 * force; of the CSR only the key is used.
 *
 * @throws {DomainError} `no_policy`, `service_not_in_matrix`, `csr_refused`, `class_not_issuable`.
 */
export function identityOrder(
  what: {
    service: ServiceRow
    instance: string
    csr: VerifiedCsr
    cause: Cause
    requestId: string
    requester: Requester
  },
  deps: IdentityDeps,
): Omit<CertificateOrder, 'bind' | 'settle'> {
  const { service, instance, csr } = what
  const { installation, serviceTemplate: template } = deps
  assertTemplateKey(csr, template)
  const id = workloadId(installation.trustDomain, service.organization_id, service.service_name)
  const className = classInForce(id, deps)
  const classOid = installation.classes[className]
  const issuer = issuerFor(service, deps)
  if (classOid === undefined || !issuer.grants.classes.includes(classOid)) {
    throw new DomainError('class_not_issuable', `the CA ${issuer.name} may not grant the class ${className}`)
  }
  const notBefore = new Date(wholeSecond(deps.now()) - BACKDATE_MS)
  const notAfter = new Date(
    Math.min(notBefore.getTime() + BACKDATE_MS + template.validityMs - 1000, issuer.certificate.notAfter.getTime()),
  )
  return {
    issuer,
    profile: 'service',
    subject: encodeName([{ type: 'CN', value: instance }]),
    publicKey: csr.publicKey,
    notBefore,
    notAfter,
    uris: [id],
    dnsNames: dnsNamesOf(service, installation),
    classOids: [classOid],
    record: {
      organization: service.organization_id,
      serviceId: service.service_id,
      instanceId: instance,
      className,
      template: template.id,
      purpose: 'vcc_service',
      cause: what.cause,
      autoRenewal: true,
    },
    requester: what.requester,
    requestId: what.requestId,
  }
}

/**
 * For the last commit of an issuance: the class that was signed is still the one the policy names.
 * @throws {DomainError} `issuance_lost`, and what a policy without the service makes of it.
 */
export function assertClassStands(service: ServiceRow, signed: string | null, deps: IdentityDeps): void {
  const id = workloadId(deps.installation.trustDomain, service.organization_id, service.service_name)
  if (classInForce(id, deps) === signed) return
  throw new DomainError('issuance_lost', 'the policy names another class since it was signed', { hint: 'try again' })
}

/** `[a-z0-9]{16}`, about 82 bits: opaque, and unique without asking anybody. */
export function drawInstanceId(): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789'
  return Array.from({ length: 16 }, () => alphabet[randomInt(alphabet.length)]).join('')
}

function assertTemplateKey(csr: VerifiedCsr, template: Template): void {
  const { kind } = csr.publicKey
  const name = kind.type === 'ec' ? kind.curve : `RSA-${kind.bits}`
  if (!template.keys.includes(name)) {
    throw new DomainError('csr_refused', `the template ${template.id} takes no ${name} keys`, {
      hint: `use one of ${template.keys.join(', ')}`,
    })
  }
}

function classInForce(id: WorkloadId, deps: IdentityDeps): string {
  const policy = deps.policyInForce()
  if (policy === undefined) {
    throw new DomainError('no_policy', 'no policy is in force yet', { hint: 'vcc-pki policy apply FILE' })
  }
  const subject = policy.subjects.get(id)
  if (subject?.kind !== 'mesh') {
    throw new DomainError('service_not_in_matrix', `the policy in force has no entry for ${id}`, {
      hint: 'add the service to the matrix and apply it, then try again',
    })
  }
  return subject.class
}

/** The home organisation's services come from the Services CA, a partner's from its own. */
function issuerFor(service: ServiceRow, deps: IdentityDeps) {
  return service.organization_id === deps.installation.homeOrganization
    ? deps.authorities.issuing('services-ca')
    : deps.authorities.issuing('external-ca', service.organization_id)
}

function dnsNamesOf(service: ServiceRow, installation: Installation): readonly string[] {
  const full = `${service.service_name}.${service.organization_id}.${installation.domain}`
  return service.organization_id === installation.homeOrganization
    ? [full, `${service.service_name}.${installation.domain}`]
    : [full]
}

function wholeSecond(at: Date): number {
  return Math.floor(at.getTime() / 1000) * 1000
}
