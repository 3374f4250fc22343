import { type Static, Type } from 'typebox'
import { CaId, CLOSED, Instant, Sha256Hex } from './fields.ts'

const Shard = Type.Integer({ minimum: 0, maximum: 1023 })

/** `ca`: the default is the CA that issues to services now. `shard`: 0 unless the CA has more. */
export const CrlQuery = Type.Object({ ca: Type.Optional(CaId), shard: Type.Optional(Shard) }, CLOSED)
export const CrlParams = Type.Object({ ca_id: CaId }, CLOSED)

export const CrlInfo = Type.Object(
  {
    ca_id: CaId,
    authority: Type.String(),
    shard: Shard,
    kind: Type.Enum(['full', 'delta']),
    number: Type.Integer(),
    base_number: Type.Union([Type.Integer(), Type.Null()]),
    this_update: Instant,
    next_update: Instant,
    entries: Type.Integer(),
    sha256: Sha256Hex,
    url: Type.String(),
  },
  CLOSED,
)
export type CrlInfo = Static<typeof CrlInfo>

export const CrlInfoList = Type.Object({ items: Type.Array(CrlInfo) }, CLOSED)
export type CrlInfoList = Static<typeof CrlInfoList>

export const CrlStatus = Type.Object(
  {
    /** Whether CRLs are issued on schedule. */
    running: Type.Boolean(),
    full_interval_seconds: Type.Integer(),
    delta_interval_seconds: Type.Integer(),
    /** Each of them stays valid this much longer than its interval. */
    outage_budget_seconds: Type.Integer(),
    crls: Type.Integer(),
    /** When the first of them lapses unless it is issued anew; null without any. */
    first_next_update: Type.Union([Instant, Type.Null()]),
    /** Those that are past half of their validity: something keeps them from being issued. */
    late: Type.Array(Type.Object({ ca_id: CaId, shard: Shard, kind: Type.Enum(['full', 'delta']) }, CLOSED)),
  },
  CLOSED,
)
export type CrlStatus = Static<typeof CrlStatus>

export const CrlRegenerate = Type.Object({ ca_id: Type.Optional(CaId) }, CLOSED)

export const ShardsRequest = Type.Object({ crl_shards: Type.Integer({ minimum: 1, maximum: 1024 }) }, CLOSED)
