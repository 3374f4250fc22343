import { CLOSED, DurationField, type EnvironmentTable, LOG_LEVELS } from '@vcc/runtime'
import { Type } from 'typebox'

/** Every address of the file. */
export const ADDRESS = 'host:port, or unix:/path of a socket'
const TEXT = { minLength: 1, maxLength: 512 }

/** What `vcc-agent run` reads. The reference is generated from the descriptions. */
export const AGENT_SHAPE = Type.Object(
  {
    service: Type.Optional(
      Type.String({
        ...TEXT,
        description:
          'The service this file is meant for; the agent refuses to start when its identity is of another one.',
      }),
    ),
    state: Type.String({
      ...TEXT,
      description: 'Folder, mode 0700, for the key, the certificate and the signed state. One agent at a time.',
    }),
    control: Type.String({
      maxLength: 300,
      pattern: '^https://[^/?#@\\s]+/?$',
      patternHint: 'such as https://control.vcc.internal:8444',
      description: 'Where the control plane answers agents, until signed state names other addresses.',
    }),
    inbound: Type.Object(
      {
        listen: Type.String({ ...TEXT, description: 'Where other agents reach this one: host:port, mutual TLS only.' }),
        advertise: Type.Optional(
          Type.Array(Type.String(TEXT), {
            maxItems: 8,
            description: 'Addresses under which other agents dial `listen`; by default `listen` itself.',
          }),
        ),
        target: Type.String({ ...TEXT, description: `The local service: ${ADDRESS}. On this host only.` }),
      },
      { ...CLOSED, description: 'Calls that come in.' },
    ),
    outbound: Type.Optional(
      Type.Record(Type.String({ pattern: '^([a-z][a-z0-9-]{0,39}/)?[a-z][a-z0-9_-]{0,39}$' }), Type.String(TEXT), {
        maxProperties: 200,
        description: `Calls that go out: the service called (\`covina\`, or \`org/service\`) and where the local service reaches it: ${ADDRESS}. On this host only.`,
      }),
    ),
    admin: Type.Optional(
      Type.String({
        ...TEXT,
        description: 'Socket, mode 0600, for `vcc-agent status`; by default `admin.sock` in `state`.',
      }),
    ),
    metrics: Type.Optional(
      Type.String({
        ...TEXT,
        description: 'host:port on this host where Prometheus reads `/metrics`; nowhere by default.',
      }),
    ),
    health: Type.Optional(
      Type.String({ ...TEXT, description: 'host:port for `/live` and `/ready`; nowhere by default.' }),
    ),
    health_check: Type.Optional(
      Type.String({
        maxLength: 512,
        pattern: '^/[!-~]*$',
        patternHint: 'a path such as /health',
        description: 'Path that the local service answers when it is well; without it a connection is enough.',
      }),
    ),
    health_interval: DurationField({
      default: '10s',
      minimumMs: 1000,
      maximumMs: 3_600_000,
      description: 'How often the local service is asked.',
    }),
    shared_host: Type.Boolean({
      default: true,
      description:
        'Whether other software runs on this host or in this network namespace. Then only Unix sockets keep it from using a plain port, and status says so.',
    }),
    max_connections: Type.Integer({
      default: 10_000,
      minimum: 1,
      maximum: 1_000_000,
      description: 'Connections at a time, both ways together; further ones are refused.',
    }),
    max_connection_age: Type.Optional(
      DurationField({
        minimumMs: 1000,
        description: 'The longest a connection lives; by default as long as the certificate that opened it.',
      }),
    ),
    idle_timeout: Type.Optional(
      DurationField({
        minimumMs: 1000,
        description:
          'A connection on which nothing moves so long is closed; by default none is, dead peers are found by keep-alive.',
      }),
    ),
    drain: DurationField({
      default: '25s',
      minimumMs: 0,
      maximumMs: 3_600_000,
      description: 'How long open connections may go on after SIGTERM.',
    }),
    key_exchange: Type.Optional(
      Type.Array(Type.Enum(['SecP256r1MLKEM768', 'X25519MLKEM768', 'P-256', 'P-384']), {
        minItems: 1,
        maxItems: 4,
        uniqueItems: true,
        description:
          'Key exchange groups by preference; by default SecP256r1MLKEM768, P-256, P-384. Tried with the own listener at start.',
      }),
    ),
    log_level: Type.Enum([...LOG_LEVELS], {
      default: 'info',
      description: 'Which events are logged; may be changed while the agent runs. The access log has its own switch.',
    }),
    access_log: Type.Boolean({
      default: true,
      description: 'Whether each connection and request leaves a line when it is over, at any `log_level`.',
    }),
  },
  CLOSED,
)

/** The environment wins over the file. */
export const AGENT_ENVIRONMENT = {
  VCC_AGENT_STATE: 'state',
  VCC_AGENT_CONTROL: 'control',
  VCC_AGENT_LOG_LEVEL: 'log_level',
} as const satisfies EnvironmentTable
