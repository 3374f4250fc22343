import { isAbsolute, join } from 'node:path'
import { RESERVED_SERVICE_NAMES } from '@vcc/policy'
import { type Duration, type LogLevel, readYamlConfig } from '@vcc/runtime'
import type { Static } from 'typebox'
import {
  formatSocketAddress,
  isEveryAddress,
  isLocal,
  parseSocketAddress,
  type SocketAddress,
  type TcpAddress,
} from './address.ts'
import { ADDRESS, AGENT_ENVIRONMENT, AGENT_SHAPE } from './config-shape.ts'

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
    const canonical = canonicalName(name)
    if (names.has(canonical)) report(`outbound.${name}`, '`_` and `-` are the same here: this name is there twice')
    names.add(canonical)
    if (RESERVED_SERVICE_NAMES.includes(canonical.split('/').at(-1) ?? ''))
      report(
        `outbound.${name}`,
        'is a name the mesh keeps for itself',
        'name the service as vcc-pki services list does',
      )
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

const DEFAULT_GROUPS: readonly KeyExchange[] = ['SecP256r1MLKEM768', 'P-256', 'P-384']
