// Long because it is one table: the whole contract, a route per row.
import type { Static, TSchema } from 'typebox'
import { Type } from 'typebox'
import {
  Authority,
  AuthorityChain,
  AuthorityList,
  AuthorityParams,
  CertificateHistory,
  CertificateList,
  CertificateParams,
  CertificateQuery,
  CertificateRequest,
  CertificateStatus,
  CreateAuthority,
  IssuedCertificate,
  Template,
  TemplateList,
  TemplateParams,
} from './schemas/certificates.ts'
import { CrlInfoList, CrlParams, CrlQuery, CrlRegenerate, CrlStatus, ShardsRequest } from './schemas/crl.ts'
import { CLOSED } from './schemas/fields.ts'
import { Health, OpenApiDocument } from './schemas/health.ts'
import { GenerateKey, HsmStatus, KeyList, KeyParams, KeyQuery, KeySummary, PublicKeyPem } from './schemas/keys.ts'
import {
  Accepted,
  IssuedIdentity,
  JoinRequest,
  MeshRoot,
  SignedEnvelope,
  StatePull,
  StateQuery,
} from './schemas/mesh.ts'
import {
  PolicyApplied,
  PolicyApplyRequest,
  PolicyDiff,
  PolicyDiffRequest,
  PolicyList,
  PolicyParams,
  PolicyRollbackRequest,
  PolicyVersion,
} from './schemas/policies.ts'
import {
  CommunicationAnswer,
  CommunicationCheck,
  HealthOverview,
  Instance,
  InstanceList,
  InstanceParams,
  InstanceQuery,
  JoinToken,
  JoinTokenList,
  JoinTokenParams,
  JoinTokenRequest,
  MeshStatus,
  RotateAnswer,
  RotateRequest,
  Service,
  ServiceHealth,
  ServiceList,
  ServiceParams,
  ServiceQuery,
  ServiceRegistration,
} from './schemas/registry.ts'
import {
  BulkRevokeRequest,
  DenialAnswer,
  DenialList,
  DenialParams,
  DenialQuery,
  DenyRequest,
  ReleaseRequest,
  RevocationAnswer,
  RevokeRequest,
} from './schemas/revocation.ts'

/** Who may call: nobody in particular, the agent of an instance, or an admin holding the permission. */
export type RouteAccess = 'open' | 'agent' | Permission

/** Named as the sources name them; the full matrix of roles comes with OIDC. */
export type Permission =
  | 'ca:read'
  | 'ca:create'
  | 'ca:revoke'
  | 'key:read'
  | 'key:generate'
  | 'key:destroy'
  | 'cert:read'
  | 'cert:request'
  | 'cert:revoke'
  | 'mesh:isolate'
  | 'service:read'
  | 'service:write'
  | 'policy:read'
  | 'policy:apply'
  | 'token:create'

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: `/api/v1/${string}`
  readonly access: RouteAccess
  readonly summary: string
  readonly tag: string
  readonly params?: TSchema
  readonly query?: TSchema
  readonly body?: TSchema
  readonly response: TSchema
  /** Bytes of this type instead of JSON; `response` is `BYTES` then. */
  readonly produces?: 'application/pkix-crl' | 'application/x-pem-file'
  readonly status?: 200 | 201 | 202
  /** Bytes; 64 KiB where not given. */
  readonly bodyLimit?: number
}

const MATRIX_BODY_LIMIT = 2 * 1024 * 1024
const BULK_BODY_LIMIT = 128 * 1024
const NOTHING = Type.Object({}, CLOSED)
const BYTES = Type.Unsafe<Uint8Array>(Type.String({ format: 'binary' }))

/** The whole HTTP contract. Server, typed client and OpenAPI document are made from this table. */
export const ROUTES = {
  health: {
    method: 'GET',
    path: '/api/v1/health',
    access: 'open',
    tag: 'status',
    summary: 'Whether this process answers',
    response: Health,
  },
  openapi: {
    method: 'GET',
    path: '/api/v1/openapi.json',
    access: 'open',
    tag: 'status',
    summary: 'This contract as OpenAPI 3.1',
    response: OpenApiDocument,
  },

  meshRoot: {
    method: 'GET',
    path: '/api/v1/mesh/root',
    access: 'open',
    tag: 'mesh',
    summary: 'The mesh root and the trust statement it signed',
    response: MeshRoot,
  },
  meshJoin: {
    method: 'POST',
    path: '/api/v1/mesh/join',
    access: 'open',
    tag: 'mesh',
    summary: 'Take part for the first time, with a join token',
    body: JoinRequest,
    response: IssuedIdentity,
    status: 201,
  },
  meshReEnrol: {
    method: 'POST',
    path: '/api/v1/mesh/re-enrol',
    access: 'open',
    tag: 'mesh',
    summary: 'Return after expiry, with an envelope signed by the old key',
    body: SignedEnvelope,
    response: IssuedIdentity,
    status: 201,
  },
  meshRenew: {
    method: 'POST',
    path: '/api/v1/mesh/renew',
    access: 'agent',
    tag: 'mesh',
    summary: 'Renew while the broker is away',
    body: SignedEnvelope,
    response: IssuedIdentity,
    status: 201,
  },
  meshState: {
    method: 'GET',
    path: '/api/v1/mesh/state',
    access: 'agent',
    tag: 'mesh',
    summary: 'Pull the signed state of this instance',
    query: StateQuery,
    response: StatePull,
  },
  meshReport: {
    method: 'POST',
    path: '/api/v1/mesh/report',
    access: 'agent',
    tag: 'mesh',
    summary: 'Report status or acknowledge state while the broker is away',
    body: SignedEnvelope,
    response: Accepted,
    status: 202,
  },

  caList: {
    method: 'GET',
    path: '/api/v1/ca/list',
    access: 'ca:read',
    tag: 'CA',
    summary: 'All CAs',
    response: AuthorityList,
  },
  caCreate: {
    method: 'POST',
    path: '/api/v1/ca/create-issuing-ca',
    access: 'ca:create',
    tag: 'CA',
    summary: 'Create a further issuing CA',
    body: CreateAuthority,
    response: Authority,
    status: 201,
  },
  caChain: {
    method: 'GET',
    path: '/api/v1/ca/:ca_id/chain',
    access: 'ca:read',
    tag: 'CA',
    summary: 'The chain of a CA as PEM, root last',
    params: AuthorityParams,
    response: AuthorityChain,
  },

  hsmStatus: {
    method: 'GET',
    path: '/api/v1/hsm/status',
    access: 'key:read',
    tag: 'HSM',
    summary: 'Whether the token answers, and where keys of each purpose are made',
    response: HsmStatus,
  },
  hsmKeyList: {
    method: 'GET',
    path: '/api/v1/hsm/keys',
    access: 'key:read',
    tag: 'HSM',
    summary: 'All keys: purpose, where held, what uses them',
    query: KeyQuery,
    response: KeyList,
  },
  hsmKeyShow: {
    method: 'GET',
    path: '/api/v1/hsm/keys/:key_label',
    access: 'key:read',
    tag: 'HSM',
    summary: 'One key',
    params: KeyParams,
    response: KeySummary,
  },
  hsmKeyPublic: {
    method: 'GET',
    path: '/api/v1/hsm/keys/:key_label/public',
    access: 'key:read',
    tag: 'HSM',
    summary: 'The public half of a key as PEM',
    params: KeyParams,
    response: PublicKeyPem,
  },
  hsmKeyGenerate: {
    method: 'POST',
    path: '/api/v1/hsm/keys/generate',
    access: 'key:generate',
    tag: 'HSM',
    summary: 'Make a key for a purpose, where its keys are held',
    body: GenerateKey,
    response: KeySummary,
    status: 201,
  },
  hsmKeyDelete: {
    method: 'DELETE',
    path: '/api/v1/hsm/keys/:key_label',
    access: 'key:destroy',
    tag: 'HSM',
    summary: 'Destroy a key that nothing uses',
    params: KeyParams,
    response: NOTHING,
  },

  certRequest: {
    method: 'POST',
    path: '/api/v1/certs/request',
    access: 'cert:request',
    tag: 'certificates',
    summary: 'Issue a certificate for a CSR under a template',
    body: CertificateRequest,
    response: IssuedCertificate,
    status: 201,
  },
  certList: {
    method: 'GET',
    path: '/api/v1/certs/list',
    access: 'cert:read',
    tag: 'certificates',
    summary: 'Certificates, newest first, filtered',
    query: CertificateQuery,
    response: CertificateList,
  },
  certStatus: {
    method: 'GET',
    path: '/api/v1/certs/status/:cert_id',
    access: 'cert:read',
    tag: 'certificates',
    summary: 'One certificate',
    params: CertificateParams,
    response: CertificateStatus,
  },
  certHistory: {
    method: 'GET',
    path: '/api/v1/certs/history/:cert_id',
    access: 'cert:read',
    tag: 'certificates',
    summary: 'What came before and after a certificate',
    params: CertificateParams,
    response: CertificateHistory,
  },
  certRevoke: {
    method: 'POST',
    path: '/api/v1/certs/revoke/:cert_id',
    access: 'cert:revoke',
    tag: 'revocation',
    summary: 'Revoke one certificate; answers enforced on n of m',
    params: CertificateParams,
    body: RevokeRequest,
    response: RevocationAnswer,
  },
  certRevokeBulk: {
    method: 'POST',
    path: '/api/v1/certs/revoke',
    access: 'cert:revoke',
    tag: 'revocation',
    summary: 'Revoke by list, filter or incident, or say what that would be',
    body: BulkRevokeRequest,
    response: RevocationAnswer,
    bodyLimit: BULK_BODY_LIMIT,
  },
  caRevoke: {
    method: 'POST',
    path: '/api/v1/ca/revoke/:ca_id',
    access: 'ca:revoke',
    tag: 'revocation',
    summary: 'Revoke an issuing CA: it signs no more, and nothing it signed is accepted',
    params: AuthorityParams,
    body: RevokeRequest,
    response: RevocationAnswer,
  },
  denialList: {
    method: 'GET',
    path: '/api/v1/vcc/denials',
    access: 'cert:read',
    tag: 'revocation',
    summary: 'What is shut out of the mesh by decision',
    query: DenialQuery,
    response: DenialList,
  },
  denialCreate: {
    method: 'POST',
    path: '/api/v1/vcc/denials',
    access: 'mesh:isolate',
    tag: 'revocation',
    summary: 'Shut out an identity, a key, a certificate or an issuer, at once',
    body: DenyRequest,
    response: DenialAnswer,
    status: 201,
  },
  denialRelease: {
    method: 'POST',
    path: '/api/v1/vcc/denials/:denial_id/release',
    access: 'mesh:isolate',
    tag: 'revocation',
    summary: 'Let in again what a denial shut out',
    params: DenialParams,
    body: ReleaseRequest,
    response: DenialAnswer,
  },

  crlFull: {
    method: 'GET',
    path: '/api/v1/crl/full',
    access: 'cert:read',
    tag: 'CRL',
    summary: 'The complete CRL of a CA, DER',
    query: CrlQuery,
    response: BYTES,
    produces: 'application/pkix-crl',
  },
  crlFullPem: {
    method: 'GET',
    path: '/api/v1/crl/full/pem',
    access: 'cert:read',
    tag: 'CRL',
    summary: 'The complete CRL of a CA, PEM',
    query: CrlQuery,
    response: BYTES,
    produces: 'application/x-pem-file',
  },
  crlDelta: {
    method: 'GET',
    path: '/api/v1/crl/delta',
    access: 'cert:read',
    tag: 'CRL',
    summary: 'The delta CRL of a CA, DER',
    query: CrlQuery,
    response: BYTES,
    produces: 'application/pkix-crl',
  },
  crlInfo: {
    method: 'GET',
    path: '/api/v1/crl/info',
    access: 'cert:read',
    tag: 'CRL',
    summary: 'The CRLs that are served: number, scope, times, entries',
    query: CrlQuery,
    response: CrlInfoList,
  },
  crlStatus: {
    method: 'GET',
    path: '/api/v1/crl/status',
    access: 'cert:read',
    tag: 'CRL',
    summary: 'Whether CRLs are issued on schedule, and which are late',
    response: CrlStatus,
  },
  crlRegenerate: {
    method: 'POST',
    path: '/api/v1/crl/regenerate',
    access: 'cert:revoke',
    tag: 'CRL',
    summary: 'Issue complete CRLs now',
    body: CrlRegenerate,
    response: CrlInfoList,
  },
  crlStart: {
    method: 'POST',
    path: '/api/v1/crl/start',
    access: 'ca:revoke',
    tag: 'CRL',
    summary: 'Issue CRLs on schedule again',
    response: CrlStatus,
  },
  crlStop: {
    method: 'POST',
    path: '/api/v1/crl/stop',
    access: 'ca:revoke',
    tag: 'CRL',
    summary: 'Issue CRLs no longer on schedule; those that are served lapse',
    response: CrlStatus,
  },
  crlOfCa: {
    method: 'GET',
    path: '/api/v1/crl/:ca_id',
    access: 'cert:read',
    tag: 'CRL',
    summary: 'The complete CRL of a CA, DER',
    params: CrlParams,
    response: BYTES,
    produces: 'application/pkix-crl',
  },
  caShards: {
    method: 'POST',
    path: '/api/v1/ca/:ca_id/crl-shards',
    access: 'ca:create',
    tag: 'CRL',
    summary: 'Spread the certificates a CA issues from now on over so many CRLs',
    params: AuthorityParams,
    body: ShardsRequest,
    response: Authority,
  },

  templateList: {
    method: 'GET',
    path: '/api/v1/templates',
    access: 'cert:read',
    tag: 'templates',
    summary: 'Certificate templates',
    response: TemplateList,
  },
  templateShow: {
    method: 'GET',
    path: '/api/v1/templates/:template_id',
    access: 'cert:read',
    tag: 'templates',
    summary: 'One template as YAML',
    params: TemplateParams,
    response: Template,
  },

  serviceList: {
    method: 'GET',
    path: '/api/v1/vcc/services',
    access: 'service:read',
    tag: 'services',
    summary: 'Registered services',
    query: ServiceQuery,
    response: ServiceList,
  },
  serviceRegister: {
    method: 'POST',
    path: '/api/v1/vcc/services',
    access: 'service:write',
    tag: 'services',
    summary: 'Register a service',
    body: ServiceRegistration,
    response: Service,
    status: 201,
  },
  serviceShow: {
    method: 'GET',
    path: '/api/v1/vcc/services/:service_id',
    access: 'service:read',
    tag: 'services',
    summary: 'One service',
    params: ServiceParams,
    response: Service,
  },
  serviceDeregister: {
    method: 'DELETE',
    path: '/api/v1/vcc/services/:service_id',
    access: 'service:write',
    tag: 'services',
    summary: 'Deregister a service and its instances',
    params: ServiceParams,
    response: NOTHING,
  },
  serviceHealth: {
    method: 'GET',
    path: '/api/v1/vcc/services/:service_id/health',
    access: 'service:read',
    tag: 'services',
    summary: 'Health of a service as its agents report it',
    params: ServiceParams,
    response: ServiceHealth,
  },
  instanceList: {
    method: 'GET',
    path: '/api/v1/vcc/instances',
    access: 'service:read',
    tag: 'services',
    summary: 'Instances and what each has in force',
    query: InstanceQuery,
    response: InstanceList,
  },
  instanceShow: {
    method: 'GET',
    path: '/api/v1/vcc/instances/:instance_id',
    access: 'service:read',
    tag: 'services',
    summary: 'One instance',
    params: InstanceParams,
    response: Instance,
  },
  instanceDeregister: {
    method: 'DELETE',
    path: '/api/v1/vcc/instances/:instance_id',
    access: 'service:write',
    tag: 'services',
    summary: 'Deregister an instance: it renews no more',
    params: InstanceParams,
    response: NOTHING,
  },
  instanceRotate: {
    method: 'POST',
    path: '/api/v1/vcc/instances/rotate',
    access: 'service:write',
    tag: 'services',
    summary: 'Have agents renew now',
    body: RotateRequest,
    response: RotateAnswer,
  },
  tokenList: {
    method: 'GET',
    path: '/api/v1/vcc/join-tokens',
    access: 'service:read',
    tag: 'services',
    summary: 'Join tokens (never their secrets)',
    response: JoinTokenList,
  },
  tokenCreate: {
    method: 'POST',
    path: '/api/v1/vcc/join-tokens',
    access: 'token:create',
    tag: 'services',
    summary: 'Create a single-use join token',
    body: JoinTokenRequest,
    response: JoinToken,
    status: 201,
  },
  tokenWithdraw: {
    method: 'DELETE',
    path: '/api/v1/vcc/join-tokens/:token_id',
    access: 'token:create',
    tag: 'services',
    summary: 'Withdraw an unused join token',
    params: JoinTokenParams,
    response: NOTHING,
  },
  healthOverview: {
    method: 'GET',
    path: '/api/v1/vcc/health-overview',
    access: 'service:read',
    tag: 'services',
    summary: 'Health of all services',
    response: HealthOverview,
  },
  meshStatus: {
    method: 'GET',
    path: '/api/v1/vcc/status',
    access: 'service:read',
    tag: 'status',
    summary: 'The mesh in figures',
    response: MeshStatus,
  },

  policyList: {
    method: 'GET',
    path: '/api/v1/vcc/policies',
    access: 'policy:read',
    tag: 'policies',
    summary: 'Versions of the auth matrix',
    response: PolicyList,
  },
  policyShow: {
    method: 'GET',
    path: '/api/v1/vcc/policies/:version',
    access: 'policy:read',
    tag: 'policies',
    summary: 'One version with its text',
    params: PolicyParams,
    response: PolicyVersion,
  },
  policyDiff: {
    method: 'POST',
    path: '/api/v1/vcc/policies/diff',
    access: 'policy:read',
    tag: 'policies',
    summary: 'What a matrix would change',
    body: PolicyDiffRequest,
    response: PolicyDiff,
    bodyLimit: MATRIX_BODY_LIMIT,
  },
  policyApply: {
    method: 'POST',
    path: '/api/v1/vcc/policies',
    access: 'policy:apply',
    tag: 'policies',
    summary: 'Apply a matrix; answers in force on n of m',
    body: PolicyApplyRequest,
    response: PolicyApplied,
    bodyLimit: MATRIX_BODY_LIMIT,
  },
  policyRollback: {
    method: 'POST',
    path: '/api/v1/vcc/policies/rollback',
    access: 'policy:apply',
    tag: 'policies',
    summary: 'Bring back an earlier version',
    body: PolicyRollbackRequest,
    response: PolicyApplied,
  },
  communicationCheck: {
    method: 'POST',
    path: '/api/v1/vcc/communication/check',
    access: 'policy:read',
    tag: 'policies',
    summary: 'May A call B, and why',
    body: CommunicationCheck,
    response: CommunicationAnswer,
  },
} as const satisfies Record<string, Route>

export type RouteName = keyof typeof ROUTES

type Part<N extends RouteName, K extends string> =
  (typeof ROUTES)[N] extends Record<K, infer S extends TSchema> ? Static<S> : undefined

/** What a call of a route takes: only the parts its row names. */
export type RouteInput<N extends RouteName> = {
  [K in 'params' | 'query' | 'body' as Part<N, K> extends undefined ? never : K]: Part<N, K>
}
export type RouteOutput<N extends RouteName> = Static<(typeof ROUTES)[N]['response']>
