import { type Static, Type } from 'typebox'
import {
  Base64Der,
  CaId,
  CertId,
  CLOSED,
  InstanceId,
  Instant,
  OrganizationId,
  PageQuery,
  PemChain,
  SerialHex,
  ServiceName,
} from './fields.ts'

export const CertificateState = Type.Enum(['valid', 'expired', 'revoked', 'orphaned'])

export const CertificateSummary = Type.Object(
  {
    cert_id: CertId,
    serial_number: SerialHex,
    issuing_ca_id: CaId,
    organization_id: Type.Union([OrganizationId, Type.Null()]),
    service_name: Type.Union([Type.String(), Type.Null()]),
    instance_id: Type.Union([InstanceId, Type.Null()]),
    subject_dn: Type.String(),
    uri: Type.Union([Type.String(), Type.Null()]),
    dns_names: Type.Array(Type.String()),
    class: Type.Union([Type.String(), Type.Null()]),
    purpose: Type.String(),
    template: Type.Union([Type.String(), Type.Null()]),
    spki_sha256: Type.String(),
    state: CertificateState,
    not_before: Instant,
    created_at: Instant,
    expires_at: Instant,
  },
  CLOSED,
)
export type CertificateSummary = Static<typeof CertificateSummary>

export const CertificateQuery = Type.Object(
  {
    ...PageQuery,
    service: Type.Optional(ServiceName),
    instance: Type.Optional(InstanceId),
    purpose: Type.Optional(Type.String({ maxLength: 40 })),
    issuing_ca_id: Type.Optional(CaId),
    state: Type.Optional(CertificateState),
    serial: Type.Optional(SerialHex),
    spki_sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
    expires_before: Type.Optional(Instant),
  },
  CLOSED,
)
export type CertificateQuery = Static<typeof CertificateQuery>

export const CertificateList = Type.Object(
  { items: Type.Array(CertificateSummary), next: Type.Union([Type.String(), Type.Null()]) },
  CLOSED,
)
export type CertificateList = Static<typeof CertificateList>

export const CertificateParams = Type.Object({ cert_id: CertId }, CLOSED)

export const CertificateStatus = Type.Object(
  {
    ...CertificateSummary.properties,
    certificate_pem: Type.Union([Type.String(), Type.Null()]),
    revoked_at: Type.Union([Instant, Type.Null()]),
    revocation_reason: Type.Union([Type.String(), Type.Null()]),
  },
  CLOSED,
)
export type CertificateStatus = Static<typeof CertificateStatus>

/** The certificates of one identity or key, newest first, and how each came about. */
export const CertificateHistory = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          ...CertificateSummary.properties,
          cause: Type.Enum(['join', 'renewal', 're-enrolment', 'request', 'init', 'start']),
        },
        CLOSED,
      ),
    ),
  },
  CLOSED,
)
export type CertificateHistory = Static<typeof CertificateHistory>

export const CertificateRequest = Type.Object(
  {
    template: Type.Enum(['vcc-service', 'vcc-admin']),
    csr: Base64Der,
    /** `vcc-service`: the registered service the certificate is for. */
    service_name: Type.Optional(ServiceName),
    /** `vcc-admin`: the account; it goes into the encrypted directory, the certificate carries a pseudonym. */
    account: Type.Optional(Type.String({ minLength: 1, maxLength: 120 })),
    validity_period: Type.Optional(Type.String({ pattern: '^(\\d+(s|m|h|d|w))+$' })),
    /** Same key, same request: same certificate. Another request under it is `idempotency_key_reused`. */
    idempotency_key: Type.Optional(Type.String({ pattern: '^[\\w.:-]{8,100}$' })),
  },
  CLOSED,
)
export type CertificateRequest = Static<typeof CertificateRequest>

export const IssuedCertificate = Type.Object(
  { cert_id: CertId, serial_number: SerialHex, chain_pem: PemChain, expires_at: Instant },
  CLOSED,
)
export type IssuedCertificate = Static<typeof IssuedCertificate>

export const Authority = Type.Object(
  {
    ca_id: CaId,
    name: Type.String(),
    kind: Type.Enum(['root', 'issuing']),
    parent_ca_id: Type.Union([CaId, Type.Null()]),
    organization_id: Type.Union([OrganizationId, Type.Null()]),
    subject_dn: Type.String(),
    key_algorithm: Type.String(),
    key_held: Type.Enum(['software', 'hsm']),
    classes: Type.Array(Type.String()),
    state: Type.Enum(['active', 'retired', 'revoked']),
    crl_shards: Type.Integer(),
    not_before: Instant,
    expires_at: Instant,
    fingerprint_sha256: Type.String(),
  },
  CLOSED,
)
export type Authority = Static<typeof Authority>
export const AuthorityList = Type.Object({ items: Type.Array(Authority) }, CLOSED)
export type AuthorityList = Static<typeof AuthorityList>
export const AuthorityParams = Type.Object({ ca_id: CaId }, CLOSED)
export const AuthorityChain = Type.Object({ ca_id: CaId, chain_pem: PemChain }, CLOSED)

/** `services`: a further Services CA, active beside the old one, whose leaves stay valid. */
export const CreateAuthority = Type.Object(
  {
    kind: Type.Enum(['services']),
    name: Type.String({ pattern: '^[a-z][a-z0-9-]{0,39}$' }),
    validity_period: Type.Optional(Type.String({ pattern: '^(\\d+(s|m|h|d|w))+$' })),
  },
  CLOSED,
)

export const Template = Type.Object(
  { template_id: Type.String(), builtin: Type.Boolean(), yaml: Type.String() },
  CLOSED,
)
export type Template = Static<typeof Template>
export const TemplateList = Type.Object({ items: Type.Array(Template) }, CLOSED)
export const TemplateParams = Type.Object({ template_id: Type.String({ pattern: '^[a-z][a-z0-9-]{0,39}$' }) }, CLOSED)
