import { type Static, Type } from 'typebox'
import {
  CLOSED,
  HostPort,
  InstanceId,
  Instant,
  Mode,
  OrganizationId,
  PageQuery,
  SerialHex,
  ServiceName,
} from './fields.ts'

export const ServiceStatus = Type.Enum(['active', 'inactive', 'discovered', 'pending_cert'])
export const ServiceType = Type.Enum(['api', 'orchestrator', 'processor', 'ui', 'database', 'edge'])

/** How an external service proves itself; decided on the outbound side only. */
export const ExternalTrust = Type.Unsafe<
  { kind: 'ca'; caPem: string; dnsName: string } | { kind: 'pin'; spkiSha256: string } | { kind: 'plain' }
>({
  type: 'object',
  discriminator: { propertyName: 'kind' },
  required: ['kind'],
  oneOf: [
    {
      type: 'object',
      properties: {
        kind: { const: 'ca' },
        caPem: { type: 'string', maxLength: 65_536 },
        dnsName: { type: 'string', maxLength: 253 },
      },
      required: ['kind', 'caPem', 'dnsName'],
      additionalProperties: false,
    },
    {
      type: 'object',
      properties: { kind: { const: 'pin' }, spkiSha256: { type: 'string', pattern: '^[0-9a-f]{64}$' } },
      required: ['kind', 'spkiSha256'],
      additionalProperties: false,
    },
    {
      type: 'object',
      properties: { kind: { const: 'plain' } },
      required: ['kind'],
      additionalProperties: false,
    },
  ],
})

export const ServiceRegistration = Type.Object(
  {
    service_name: ServiceName,
    service_type: Type.Optional(ServiceType),
    mode: Type.Optional(Mode),
    kind: Type.Optional(Type.Enum(['mesh', 'external'])),
    endpoint_url: Type.Optional(Type.String({ maxLength: 2048 })),
    health_endpoint: Type.Optional(Type.String({ maxLength: 512 })),
    /** CIDR blocks an instance may advertise addresses in; none means any. */
    allowed_networks: Type.Optional(Type.Array(Type.String({ maxLength: 49 }), { maxItems: 32 })),
    /** `kind: external` only. */
    address: Type.Optional(HostPort),
    trust: Type.Optional(ExternalTrust),
  },
  CLOSED,
)
export type ServiceRegistration = Static<typeof ServiceRegistration>

export const Service = Type.Object(
  {
    service_id: Type.String(),
    service_name: Type.String(),
    organization_id: OrganizationId,
    service_type: ServiceType,
    mode: Mode,
    kind: Type.Enum(['mesh', 'external']),
    spiffe_id: Type.String(),
    class: Type.Union([Type.String(), Type.Null()]),
    endpoint_url: Type.Union([Type.String(), Type.Null()]),
    health_endpoint: Type.Union([Type.String(), Type.Null()]),
    allowed_networks: Type.Array(Type.String()),
    address: Type.Union([Type.String(), Type.Null()]),
    status: ServiceStatus,
    has_valid_cert: Type.Boolean(),
    instances: Type.Integer(),
    instances_seen: Type.Integer(),
    last_seen: Type.Union([Instant, Type.Null()]),
    created_at: Instant,
  },
  CLOSED,
)
export type Service = Static<typeof Service>

export const ServiceList = Type.Object(
  { items: Type.Array(Service), next: Type.Union([Type.String(), Type.Null()]) },
  CLOSED,
)
export type ServiceList = Static<typeof ServiceList>

export const ServiceQuery = Type.Object({ ...PageQuery, status: Type.Optional(ServiceStatus) }, CLOSED)
export type ServiceQuery = Static<typeof ServiceQuery>

export const ServiceParams = Type.Object({ service_id: Type.String({ maxLength: 100 }) }, CLOSED)

export const Instance = Type.Object(
  {
    instance_id: InstanceId,
    service_name: Type.String(),
    organization_id: OrganizationId,
    state: Type.Enum(['active', 'deregistered']),
    addresses: Type.Array(Type.String()),
    latest_serial: Type.Union([SerialHex, Type.Null()]),
    /** The serial its listener really answered with, from its own handshake. */
    served_serial: Type.Union([SerialHex, Type.Null()]),
    expires_at: Type.Union([Instant, Type.Null()]),
    connected: Type.Boolean(),
    last_seen: Type.Union([Instant, Type.Null()]),
    state_generation: Type.Union([Type.String(), Type.Null()]),
    in_force: Type.Boolean(),
    health: Type.Enum(['ok', 'failing', 'unknown']),
    version: Type.Union([Type.String(), Type.Null()]),
  },
  CLOSED,
)
export type Instance = Static<typeof Instance>

export const InstanceList = Type.Object({ items: Type.Array(Instance) }, CLOSED)
export const InstanceQuery = Type.Object({ service: Type.Optional(ServiceName) }, CLOSED)
export const InstanceParams = Type.Object({ instance_id: InstanceId }, CLOSED)

/** Agents whose certificate was issued before now renew at once; their connections stay. */
export const RotateRequest = Type.Object(
  {
    service: Type.Optional(ServiceName),
    all: Type.Optional(Type.Boolean()),
    wait_seconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 60 })),
  },
  CLOSED,
)
export const RotateAnswer = Type.Object(
  { issued_after: Instant, renewed: Type.Integer(), of: Type.Integer(), pending: Type.Array(InstanceId) },
  CLOSED,
)
export type RotateAnswer = Static<typeof RotateAnswer>

export const ServiceHealth = Type.Object(
  {
    service_name: Type.String(),
    status: ServiceStatus,
    healthy: Type.Boolean(),
    has_valid_cert: Type.Boolean(),
    instances: Type.Array(
      Type.Object(
        {
          instance_id: InstanceId,
          health: Type.Enum(['ok', 'failing', 'unknown']),
          detail: Type.Union([Type.String(), Type.Null()]),
          connected: Type.Boolean(),
          last_seen: Type.Union([Instant, Type.Null()]),
          expires_at: Type.Union([Instant, Type.Null()]),
        },
        CLOSED,
      ),
    ),
  },
  CLOSED,
)
export type ServiceHealth = Static<typeof ServiceHealth>

export const HealthOverview = Type.Object(
  {
    services: Type.Integer(),
    healthy: Type.Integer(),
    failing: Type.Integer(),
    unknown: Type.Integer(),
    items: Type.Array(ServiceHealth),
  },
  CLOSED,
)

export const MeshStatus = Type.Object(
  {
    trust_domain: Type.String(),
    home_organization: Type.String(),
    policy_version: Type.Union([Type.Integer(), Type.Null()]),
    fleet_generation: Type.String(),
    services: Type.Integer(),
    instances: Type.Integer(),
    connected: Type.Integer(),
    in_force: Type.Integer(),
    broker: Type.Enum(['connected', 'disconnected']),
    profile: Type.String(),
    started_at: Instant,
    version: Type.String(),
  },
  CLOSED,
)
export type MeshStatus = Static<typeof MeshStatus>

export const CommunicationCheck = Type.Object(
  { source: Type.String({ maxLength: 200 }), target: Type.String({ maxLength: 200 }) },
  CLOSED,
)
export const CommunicationAnswer = Type.Object(
  {
    allowed: Type.Boolean(),
    source: Type.String(),
    target: Type.String(),
    code: Type.Union([Type.String(), Type.Null()]),
    rule: Type.String(),
    explanation: Type.String(),
    policy_version: Type.Union([Type.Integer(), Type.Null()]),
  },
  CLOSED,
)
export type CommunicationAnswer = Static<typeof CommunicationAnswer>

export const JoinTokenRequest = Type.Object(
  { service_name: ServiceName, lifetime_seconds: Type.Optional(Type.Integer({ minimum: 60, maximum: 604_800 })) },
  CLOSED,
)
/** The token is shown once; the database keeps its hash. */
export const JoinToken = Type.Object(
  {
    token_id: Type.String(),
    token: Type.String(),
    service_name: Type.String(),
    organization_id: OrganizationId,
    expires_at: Instant,
    fingerprint: Type.String(),
  },
  CLOSED,
)
export type JoinToken = Static<typeof JoinToken>

export const JoinTokenList = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          token_id: Type.String(),
          service_name: Type.String(),
          state: Type.Enum(['open', 'bound', 'expired', 'withdrawn']),
          instance_id: Type.Union([InstanceId, Type.Null()]),
          created_at: Instant,
          expires_at: Instant,
        },
        CLOSED,
      ),
    ),
  },
  CLOSED,
)
export type JoinTokenList = Static<typeof JoinTokenList>
export const JoinTokenParams = Type.Object({ token_id: Type.String({ maxLength: 64 }) }, CLOSED)
