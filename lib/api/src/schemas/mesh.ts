import { type Static, Type } from 'typebox'
import { Base64Der, CLOSED, CompactJws, HostPort, InstanceId, Instant } from './fields.ts'

/** What an agent needs before it can trust anything: the root and the statement it signed. */
export const MeshRoot = Type.Object({ root: Base64Der, trustStatement: CompactJws }, CLOSED)
export type MeshRoot = Static<typeof MeshRoot>

export const JoinRequest = Type.Object(
  {
    token: Type.String({ minLength: 20, maxLength: 200 }),
    csr: Base64Der,
    stateFormats: Type.Array(Type.Integer({ minimum: 1 }), { minItems: 1, maxItems: 8 }),
    addresses: Type.Optional(Type.Array(HostPort, { maxItems: 8 })),
    version: Type.String({ maxLength: 40 }),
  },
  CLOSED,
)
export type JoinRequest = Static<typeof JoinRequest>

/** Leaf first, issuing CA after it; the root is not repeated. */
export const IssuedIdentity = Type.Object(
  {
    instance: InstanceId,
    organization: Type.String(),
    service: Type.String(),
    chain: Type.Array(Base64Der, { minItems: 1, maxItems: 4 }),
    notAfter: Instant,
  },
  CLOSED,
)
export type IssuedIdentity = Static<typeof IssuedIdentity>

/** A signed envelope (`vcc-up+jws`): who sends it, and that it is fresh, is inside. */
export const SignedEnvelope = Type.Object({ envelope: CompactJws }, CLOSED)
export type SignedEnvelope = Static<typeof SignedEnvelope>

export const StateQuery = Type.Object(
  {
    /** `<epoch>.<generation>` the agent holds; what is not newer is answered by its refresh alone. */
    fleet: Type.Optional(Type.String({ pattern: '^\\d{1,10}\\.\\d{1,15}$' })),
    agent: Type.Optional(Type.String({ pattern: '^\\d{1,10}\\.\\d{1,15}$' })),
  },
  CLOSED,
)
export type StateQuery = Static<typeof StateQuery>

const StatePart = Type.Object({ document: Type.Optional(CompactJws), refresh: CompactJws }, CLOSED)

/** What arrived of what the agent said: what is missing was lost on its way, and is said again. */
const AcknowledgedState = Type.Object(
  {
    epoch: Type.Union([Type.Integer(), Type.Null()]),
    /** Generations. */
    fleet: Type.Union([Type.Integer(), Type.Null()]),
    agent: Type.Union([Type.Integer(), Type.Null()]),
    /** Of the certificate that its listener was last said to serve. */
    serial: Type.Union([Type.String(), Type.Null()]),
    /** Since it was heard of last; null when it never was. */
    silentSeconds: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
  },
  CLOSED,
)

export const StatePull = Type.Object(
  { fleet: StatePart, agent: StatePart, acknowledged: Type.Optional(AcknowledgedState) },
  CLOSED,
)
export type StatePull = Static<typeof StatePull>

export const Accepted = Type.Object({ accepted: Type.Boolean() }, CLOSED)
