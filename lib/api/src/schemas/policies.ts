import { type Static, Type } from 'typebox'
import { CLOSED, InstanceId, Instant } from './fields.ts'

const MatrixText = Type.String({ minLength: 1, maxLength: 1_048_576 })

export const Edge = Type.Object({ source: Type.String(), target: Type.String(), rule: Type.String() }, CLOSED)

export const PolicyDiff = Type.Object(
  {
    from_version: Type.Union([Type.Integer(), Type.Null()]),
    gained: Type.Array(Edge),
    lost: Type.Array(Edge),
    class_changes: Type.Array(
      Type.Object(
        {
          service: Type.String(),
          before: Type.Union([Type.String(), Type.Null()]),
          after: Type.Union([Type.String(), Type.Null()]),
        },
        CLOSED,
      ),
    ),
    /** What parses but is not enforced by this version, and patterns that match nothing. */
    notices: Type.Array(Type.String()),
    lines: Type.Array(Type.String()),
  },
  CLOSED,
)
export type PolicyDiff = Static<typeof PolicyDiff>

export const PolicyDiffRequest = Type.Object({ matrix: MatrixText }, CLOSED)

export const PolicyApplyRequest = Type.Object(
  {
    matrix: MatrixText,
    /** The version the diff was made against; another one in force meanwhile is `policy_changed_meanwhile`. */
    expected_version: Type.Union([Type.Integer(), Type.Null()]),
    wait_seconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 60 })),
  },
  CLOSED,
)

export const PolicyRollbackRequest = Type.Object(
  {
    to_version: Type.Optional(Type.Integer({ minimum: 1 })),
    wait_seconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 60 })),
  },
  CLOSED,
)

/** "In force on n of m": an agent counts when it acknowledged this state's generation and hash. */
export const PolicyApplied = Type.Object(
  {
    version: Type.Integer(),
    changed: Type.Boolean(),
    in_force: Type.Integer(),
    of: Type.Integer(),
    pending: Type.Array(
      Type.Object(
        {
          instance_id: InstanceId,
          service: Type.String(),
          connected: Type.Boolean(),
          enforce_until: Type.Union([Instant, Type.Null()]),
        },
        CLOSED,
      ),
    ),
    diff: PolicyDiff,
  },
  CLOSED,
)
export type PolicyApplied = Static<typeof PolicyApplied>

export const PolicyVersion = Type.Object(
  {
    version: Type.Integer(),
    active: Type.Boolean(),
    applied_at: Instant,
    applied_by: Type.String(),
    rolled_back_to: Type.Union([Type.Integer(), Type.Null()]),
    sha256: Type.String(),
    matrix: Type.Optional(Type.String()),
  },
  CLOSED,
)
export type PolicyVersion = Static<typeof PolicyVersion>

export const PolicyList = Type.Object(
  { active_version: Type.Union([Type.Integer(), Type.Null()]), items: Type.Array(PolicyVersion) },
  CLOSED,
)
export type PolicyList = Static<typeof PolicyList>
export const PolicyParams = Type.Object({ version: Type.Integer({ minimum: 1 }) }, CLOSED)
