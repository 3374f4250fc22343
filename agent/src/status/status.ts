import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'

const Instant = Type.String()
const OrNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()])

/** What `GET /status` of the admin socket answers, and `vcc-agent status --format json` prints. */
export const AgentStatus = Type.Object({
  healthy: Type.Boolean(),
  /** What an operator should look at, worst first. */
  warnings: Type.Array(Type.String()),
  version: Type.String(),
  identity: Type.Object({
    id: Type.String(),
    instance: Type.String(),
    class: Type.String(),
    serial: Type.String(),
    not_before: Instant,
    not_after: Instant,
    renewal: Type.String(),
    renewal_at: OrNull(Instant),
    last_failure: OrNull(Type.String()),
  }),
  /** From the agent's handshake with its own listener. */
  listener: OrNull(
    Type.Object({ protocol: Type.String(), cipher: Type.String(), group: Type.String(), served_serial: Type.String() }),
  ),
  state: Type.Object({
    fleet: OrNull(Type.String()),
    agent: OrNull(Type.String()),
    policy_version: OrNull(Type.Integer()),
    signed_at: OrNull(Instant),
    enforcement: Type.Enum(['fresh', 'stale', 'expired', 'none']),
    enforce_until: OrNull(Instant),
  }),
  /** Files of the state folder that are not as they should be; none as a rule. */
  state_files: Type.Array(
    Type.Object({
      file: Type.String(),
      problem: Type.Enum(['refused', 'not_stored']),
      code: Type.String(),
      since: Instant,
    }),
  ),
  control_plane: Type.Object({
    api: Type.Enum(['reachable', 'unreachable']),
    api_down_since: OrNull(Instant),
    broker: Type.Enum(['connected', 'away']),
    broker_down_since: OrNull(Instant),
  }),
  clock_behind_seconds: Type.Integer(),
  /** Own clock minus the control plane's; null before the first pull. */
  clock_offset_seconds: OrNull(Type.Integer()),
  ready: Type.Boolean(),
  not_ready: Type.Array(Type.Object({ code: Type.String(), detail: Type.String() })),
  service: Type.Object({
    target: Type.String(),
    mode: OrNull(Type.String()),
    health: Type.String(),
    detail: OrNull(Type.String()),
  }),
  connections: Type.Object({ inbound: Type.Integer(), outbound: Type.Integer(), handshakes: Type.Integer() }),
  upstreams: Type.Array(
    Type.Object({
      name: Type.String(),
      listen: Type.String(),
      allowed: Type.Boolean(),
      rule: Type.String(),
      addresses: Type.Array(Type.String()),
      ejected: Type.Integer(),
    }),
  ),
  callers: Type.Array(Type.Object({ id: Type.String(), rule: Type.String() })),
  recorded_not_enforced: Type.Array(Type.String()),
  local_bypass_possible: Type.Boolean(),
})
export type AgentStatus = Static<typeof AgentStatus>

const compiled = Compile(AgentStatus)

export function isAgentStatus(value: unknown): value is AgentStatus {
  return compiled.Check(value)
}
