import type { SecureContext } from 'node:tls'
import { type MemorySigner, memorySigner } from '@vcc/keys'
import { clientContext } from '@vcc/mesh'
import { type Certificate, encodeName, encodePem, type PublicKey } from '@vcc/x509'
import type { Authorities } from '../authority/authority.ts'
import type { Installation } from '../installation/installation.ts'
import { type IssueDeps, issue } from '../issuance/issue.ts'

/** The TLS identity of a listener of ours: its key lives in this process only. */
export interface TlsIdentity {
  readonly key: string
  /** PEM, leaf first, the issuing CA after it. */
  readonly cert: string
  readonly certificate: Certificate
  /** Of a client with this identity. */
  readonly context: SecureContext
}

/** What each kind of listener's certificate says. */
const KINDS = {
  control: { profile: 'control-api', purpose: 'control', keyPurpose: 'api' },
  broker: { profile: 'broker', purpose: 'broker', keyPurpose: 'broker' },
} as const

/** Renewed daily, and valid over an outage of the issuing key. */
const VALIDITY_MS = 7 * 86_400_000
const BACKDATE_MS = 300_000

export type IdentityDeps = Omit<IssueDeps, 'installation'> & {
  readonly authorities: Authorities
  readonly installation: Installation
}

/** A new key and its certificate of the Control CA, issued like every other. */
export async function issueIdentity(kind: keyof typeof KINDS, deps: IdentityDeps): Promise<TlsIdentity> {
  const signer: MemorySigner = await memorySigner(KINDS[kind].keyPurpose, 'P-256')
  const { certificate, cert } = await certifyIdentity(kind, signer.publicKey, deps)
  const key = signer.privateKeyPem()
  const root = deps.authorities.root('mesh-root').certificate
  return { key, cert, certificate, context: clientContext(root, { keyPem: key, chainPem: cert }) }
}

/** The certificate of such an identity for a key that is held elsewhere. */
export async function certifyIdentity(
  kind: keyof typeof KINDS,
  publicKey: PublicKey,
  deps: IdentityDeps,
): Promise<Pick<TlsIdentity, 'cert' | 'certificate'>> {
  const { profile, purpose } = KINDS[kind]
  const issuer = deps.authorities.issuing('control-ca')
  const startMs = Math.floor(deps.now().getTime() / 1000) * 1000 - BACKDATE_MS
  const { certificate } = await issue(
    {
      issuer,
      profile,
      subject: encodeName([{ type: 'CN', value: kind }]),
      publicKey,
      notBefore: new Date(startMs),
      notAfter: new Date(Math.min(startMs + BACKDATE_MS + VALIDITY_MS, issuer.certificate.notAfter.getTime())),
      uris: [`spiffe://${deps.installation.trustDomain}/${kind}`],
      dnsNames: [`${kind}.${deps.installation.domain}`],
      record: {
        organization: null,
        serviceId: null,
        instanceId: null,
        className: null,
        template: null,
        purpose,
        cause: 'start',
        autoRenewal: true,
      },
      requester: { type: 'system', ref: 'vcc-control' },
      requestId: `start-${deps.owner}`,
    },
    deps,
  )
  const cert = [certificate, issuer.certificate].map((one) => encodePem('CERTIFICATE', one.der)).join('')
  return { certificate, cert }
}
