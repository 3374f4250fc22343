import { encodeName, type VerifiedCsr } from '@vcc/x509'
import { actorRef, drawActor } from '../audit/actors.ts'
import { DomainError } from '../errors.ts'
import type { CertificateOrder, Requester } from '../issuance/issue.ts'
import { validityWithin } from '../templates/template.ts'
import type { CertificateRouteDeps } from './routes.ts'

const BACKDATE_MS = 300_000

/**
 * The order for a person's certificate: a pseudonym as CN and in the URI, the account in the encrypted directory only.
 * @throws {DomainError} `request_invalid` without an account, `csr_refused` for a key the template does not take.
 */
export async function adminOrder(
  what: {
    account: string | undefined
    csr: Pick<VerifiedCsr, 'publicKey'>
    requester: Requester
    requestId: string
    validityMs: number | undefined
    cause?: 'init' | 'request'
  },
  deps: Pick<CertificateRouteDeps, 'database' | 'adminTemplate' | 'authorities' | 'installation' | 'now'>,
): Promise<CertificateOrder> {
  const { account } = what
  if (account === undefined) throw new DomainError('request_invalid', 'the template vcc-admin needs account')
  const now = deps.now()
  const draw = drawActor()
  const ref = await deps.database.runUnit(() => actorRef({ account, name: account }, now, draw))
  const issuer = deps.authorities.issuing('admin-ca')
  const notBefore = new Date(Math.floor(now.getTime() / 1000) * 1000 - BACKDATE_MS)
  const wanted = notBefore.getTime() + BACKDATE_MS + validityWithin(deps.adminTemplate, what.validityMs) - 1000
  return {
    issuer,
    profile: 'admin',
    subject: encodeName([{ type: 'CN', value: `admin ${ref}` }]),
    publicKey: what.csr.publicKey,
    notBefore,
    notAfter: new Date(Math.min(wanted, issuer.certificate.notAfter.getTime())),
    uris: [`spiffe://${deps.installation.trustDomain}/admin/${ref}`],
    record: {
      organization: deps.installation.homeOrganization,
      serviceId: null,
      instanceId: null,
      className: null,
      template: deps.adminTemplate.id,
      purpose: 'admin',
      cause: what.cause ?? 'request',
      autoRenewal: false,
    },
    requester: what.requester,
    requestId: what.requestId,
  }
}
