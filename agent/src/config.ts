import { isAbsolute, join } from 'node:path'
import {
  CLOSED,
  type Duration,
  DurationField,
  type EnvironmentTable,
  LOG_LEVELS,
  type LogLevel,
  readYamlConfig,
} from '@vcc/runtime'
import { type Static, Type } from 'typebox'
import { formatSocketAddress, isLocal, parseSocketAddress, type SocketAddress } from './address.ts'

const ADDRESS = 'host:port, or unix:/path of a socket'
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

export type KeyExchange = NonNullable<Static<typeof AGENT_SHAPE>['key_exchange']>[number]

export interface AgentConfig {
  readonly service: string | undefined
  readonly stateFolder: string
  readonly controlUrl: string
  readonly inbound: {
    readonly listen: TcpAddress
    readonly advertise: readonly string[]
    readonly target: SocketAddress
  }
  /** By name as written, with `_` made `-`. */
  readonly outbound: ReadonlyMap<string, SocketAddress>
  readonly adminSocket: string
  readonly metrics: TcpAddress | undefined
  readonly health: TcpAddress | undefined
  readonly healthCheck: string | undefined
  readonly healthInterval: Duration
  readonly sharedHost: boolean
  readonly maxConnections: number
  readonly maxConnectionAge: Duration | undefined
  readonly idleTimeout: Duration | undefined
  readonly drain: Duration
  readonly keyExchange: readonly KeyExchange[]
  readonly logLevel: LogLevel
  readonly accessLog: boolean
}

export type TcpAddress = Extract<SocketAddress, { kind: 'tcp' }>

/**
 * Reads the file and says everything that is wrong with it at once. Binds and creates nothing.
 * @throws {ConfigError}
 */
export async function readAgentConfig(path: string): Promise<AgentConfig> {
  return toAgentConfig(await readYamlConfig(path, AGENT_SHAPE, { env: AGENT_ENVIRONMENT, check: checkAgentConfig }))
}

type Raw = Static<typeof AGENT_SHAPE>

/** What fields mean together, and everything about addresses. */
function checkAgentConfig(raw: Raw, report: (field: string, message: string, hint?: string) => void): void {
  const used = new Map<string, string>()
  const address = (field: string, text: string, rules: { local?: boolean; tcp?: boolean; binds?: boolean }) => {
    const parsed = parseSocketAddress(text)
    if (parsed === undefined) return report(field, `"${text}" is not an address`, `write ${ADDRESS}`)
    if (rules.tcp === true && parsed.kind !== 'tcp')
      return report(field, 'a Unix socket is not possible here', 'write host:port')
    if (rules.local === true && !isLocal(parsed)) {
      return report(
        field,
        `"${text}" is not on this host`,
        'use 127.0.0.1, [::1] or a Unix socket: what passes here is not encrypted',
      )
    }
    if (rules.binds !== true) return
    const key = parsed.kind === 'tcp' ? `port ${parsed.port}` : parsed.path
    const other = used.get(key)
    if (other !== undefined)
      return report(field, `"${text}" is used by ${other} already`, 'every listener needs its own')
    used.set(key, field)
  }
  address('inbound.listen', raw.inbound.listen, { tcp: true, binds: true })
  for (const [name, text] of Object.entries(raw.outbound ?? {}))
    address(`outbound.${name}`, text, { local: true, binds: true })
  if (raw.metrics !== undefined) address('metrics', raw.metrics, { tcp: true, local: true, binds: true })
  if (raw.health !== undefined) address('health', raw.health, { tcp: true, binds: true })
  address('inbound.target', raw.inbound.target, { local: true })
  const admin = adminSocketOf(raw)
  const taken = used.get(admin)
  if (taken !== undefined) report('admin', `"${admin}" is used by ${taken} already`, 'every listener needs its own')
  used.set(admin, 'admin')
  for (const [index, text] of (raw.inbound.advertise ?? []).entries())
    address(`inbound.advertise[${index}]`, text, { tcp: true })

  const target = parseSocketAddress(raw.inbound.target)
  const loop = target && used.get(target.kind === 'tcp' ? `port ${target.port}` : target.path)
  if (loop !== undefined)
    report('inbound.target', `"${raw.inbound.target}" is the agent itself (${loop})`, 'name the port of the service')
  const listen = parseSocketAddress(raw.inbound.listen)
  if (raw.inbound.advertise === undefined && listen?.kind === 'tcp' && isEveryAddress(listen.host)) {
    report('inbound.advertise', 'is missing', `nobody can dial "${raw.inbound.listen}"; name the address of this host`)
  }
  if (!isAbsolute(raw.state)) report('state', `"${raw.state}" is not an absolute path`)
  if (raw.admin !== undefined && !isAbsolute(raw.admin)) report('admin', `"${raw.admin}" is not an absolute path`)
  else if (isAbsolute(admin) && parseSocketAddress(`unix:${admin}`) === undefined) {
    report(
      raw.admin === undefined ? 'state' : 'admin',
      'the path of the admin socket would be longer than 107 bytes',
      'set `admin`',
    )
  }
  const names = new Set<string>()
  for (const name of Object.keys(raw.outbound ?? {})) {
    if (names.has(canonicalName(name)))
      report(`outbound.${name}`, '`_` and `-` are the same here: this name is there twice')
    names.add(canonicalName(name))
  }
}

function toAgentConfig(raw: Raw): AgentConfig {
  const listen = tcp(raw.inbound.listen)
  return {
    service: raw.service,
    stateFolder: raw.state,
    controlUrl: raw.control.replace(/\/$/, ''),
    inbound: {
      listen,
      advertise: raw.inbound.advertise ?? [formatSocketAddress(listen)],
      target: checked(parseSocketAddress(raw.inbound.target)),
    },
    outbound: new Map(
      Object.entries(raw.outbound ?? {}).map(([name, text]) => [
        canonicalName(name),
        checked(parseSocketAddress(text)),
      ]),
    ),
    adminSocket: adminSocketOf(raw),
    metrics: raw.metrics === undefined ? undefined : tcp(raw.metrics),
    health: raw.health === undefined ? undefined : tcp(raw.health),
    healthCheck: raw.health_check,
    healthInterval: raw.health_interval,
    sharedHost: raw.shared_host,
    maxConnections: raw.max_connections,
    maxConnectionAge: raw.max_connection_age,
    idleTimeout: raw.idle_timeout,
    drain: raw.drain,
    keyExchange: raw.key_exchange ?? DEFAULT_GROUPS,
    logLevel: raw.log_level,
    accessLog: raw.access_log,
  }
}

function adminSocketOf(raw: Pick<Raw, 'admin' | 'state'>): string {
  return raw.admin ?? join(raw.state, 'admin.sock')
}

function tcp(text: string): TcpAddress {
  const address = checked(parseSocketAddress(text))
  if (address.kind !== 'tcp') throw new TypeError('checkAgentConfig was not asked')
  return address
}

function checked<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('checkAgentConfig was not asked')
  return value
}

function canonicalName(name: string): string {
  return name.replaceAll('_', '-')
}

function isEveryAddress(host: string): boolean {
  return host === '0.0.0.0' || /^[0:]+$/.test(host)
}

const DEFAULT_GROUPS: readonly KeyExchange[] = ['SecP256r1MLKEM768', 'P-256', 'P-384']
