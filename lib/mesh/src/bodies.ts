import { type Static, Type } from 'typebox'
import {
  Base64Der,
  CLOSED,
  Code,
  Counter,
  FormatNumber,
  Host,
  Instant,
  Line,
  Ordinal,
  Port,
  SerialHex,
  Sha256Hex,
} from './shapes.ts'

const HeldReport = Type.Object(
  { epoch: Ordinal, generation: Ordinal, contentHash: Sha256Hex, issuedAt: Instant, enforceUntil: Instant },
  CLOSED,
)

export const StatusBody = Type.Object(
  {
    version: Type.String({ pattern: '^[0-9A-Za-z.+-]{1,64}$' }),
    /** State formats this agent reads. */
    formats: Type.Array(FormatNumber, { minItems: 1, maxItems: 16 }),
    startedAt: Instant,
    ready: Type.Boolean(),
    /** The local service, as the agent's probe sees it. */
    health: Type.Object(
      {
        state: Type.Union([Type.Literal('healthy'), Type.Literal('unhealthy'), Type.Literal('unknown')]),
        detail: Type.Optional(Line),
      },
      CLOSED,
    ),
    /** Serial and end of the certificate that its own listener really serves; null while it serves none. */
    certificate: Type.Union([Type.Object({ serial: SerialHex, notAfter: Instant }, CLOSED), Type.Null()]),
    fleet: Type.Union([HeldReport, Type.Null()]),
    agent: Type.Union([HeldReport, Type.Null()]),
    clock: Type.Object(
      {
        state: Type.Union([Type.Literal('ok'), Type.Literal('behind')]),
        /** Own clock minus the control plane's, where it was measured. */
        offsetSeconds: Type.Union([Type.Integer({ minimum: -2_147_483_648, maximum: 2_147_483_647 }), Type.Null()]),
      },
      CLOSED,
    ),
    listeners: Type.Array(
      Type.Object(
        {
          kind: Type.Union([Type.Literal('inbound'), Type.Literal('outbound'), Type.Literal('admin')]),
          name: Line,
          /** `host:port`, or the path of a Unix socket. */
          address: Line,
        },
        CLOSED,
      ),
      { maxItems: 300 },
    ),
    /** Where other agents may dial this one. */
    addresses: Type.Array(Type.Object({ host: Host, port: Port }, CLOSED), { maxItems: 16 }),
    /** Whether local processes can go around the agent. */
    localBypass: Type.Union([Type.Literal('closed'), Type.Literal('possible')]),
    counters: Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' }), Counter, {
      maxProperties: 64,
      additionalProperties: false,
    }),
  },
  CLOSED,
)
/** How an agent is. Also its sign of life: a broker's last will proves nothing. */
export type StatusBody = Static<typeof StatusBody>

export const AckBody = Type.Object(
  {
    kind: Type.Union([Type.Literal('fleet'), Type.Literal('agent')]),
    epoch: Ordinal,
    generation: Ordinal,
    contentHash: Sha256Hex,
    enforceUntil: Instant,
    /** The serial the listener really serves at this moment; null while it serves none. */
    serial: Type.Union([SerialHex, Type.Null()]),
    /** `applied` only after every live connection was decided again; `refused` names the code. */
    outcome: Type.Union([
      Type.Object({ result: Type.Literal('applied'), at: Instant, closed: Counter }, CLOSED),
      Type.Object({ result: Type.Literal('refused'), code: Code }, CLOSED),
    ]),
  },
  CLOSED,
)
/** What an agent did with a document. */
export type AckBody = Static<typeof AckBody>

export const RenewBody = Type.Object({ csr: Base64Der }, CLOSED)
/** A CSR (base64 DER) that carries a new key and nothing else. */
export type RenewBody = Static<typeof RenewBody>

/** Which body an envelope of each kind has. */
export const UP_BODIES = { status: StatusBody, ack: AckBody, renew: RenewBody, 're-enrol': RenewBody } as const

export type UpKind = keyof typeof UP_BODIES
export type UpBody<K extends UpKind> = Static<(typeof UP_BODIES)[K]>

const Problem = Type.Object(
  {
    code: Code,
    title: Line,
    detail: Type.Optional(Line),
    retryAfterSeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400 })),
  },
  CLOSED,
)

export const ReplyBody = Type.Union([
  Type.Object({ ok: Type.Literal(true), kind: Type.Literal('noted') }, CLOSED),
  Type.Object(
    {
      ok: Type.Literal(true),
      kind: Type.Literal('certificate'),
      /** Base64 DER, leaf first, without the anchor. */
      chain: Type.Array(Base64Der, { minItems: 1, maxItems: 4 }),
    },
    CLOSED,
  ),
  Type.Object({ ok: Type.Literal(false), problem: Problem }, CLOSED),
])
/** The answer to an envelope. `problem.code` is a code of the HTTP API's problem documents. */
export type ReplyBody = Static<typeof ReplyBody>
