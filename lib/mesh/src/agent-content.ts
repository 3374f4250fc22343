import { type Static, Type } from 'typebox'
import { MeshError } from './errors.ts'
import {
  Base64Der,
  CLOSED,
  ClassName,
  DomainName,
  Host,
  InstanceId,
  Instant,
  Oid,
  Port,
  parserOf,
  Sha256Hex,
  WorkloadUri,
} from './shapes.ts'

/** As many as one agent is told of; whoever decides on a policy refuses one that says more. */
export const MAX_UPSTREAMS = 256

const Mode = Type.Union([Type.Literal('http'), Type.Literal('tcp')])

/** How a target without an agent is recognised. `plain` is for loopback addresses only. */
const ExternalTls = Type.Union([
  Type.Object(
    { trust: Type.Literal('ca'), ca: Type.Array(Base64Der, { minItems: 1, maxItems: 8 }), dnsName: DomainName },
    CLOSED,
  ),
  Type.Object({ trust: Type.Literal('spki'), spkiSha256: Sha256Hex }, CLOSED),
  Type.Object({ trust: Type.Literal('plain') }, CLOSED),
])

const Upstream = Type.Object(
  {
    id: WorkloadUri,
    /** `covina`, or `partner/covina` in another organisation. */
    name: Type.String({ pattern: '^(?:[a-z][a-z0-9-]{0,39}/)?[a-z][a-z0-9-]{0,39}$' }),
    mode: Mode,
    kind: Type.Union([Type.Literal('mesh'), Type.Literal('external')]),
    addresses: Type.Array(
      Type.Object({ instance: Type.Union([InstanceId, Type.Null()]), host: Host, port: Port }, CLOSED),
      { maxItems: 256 },
    ),
    external: Type.Optional(Type.Object({ tls: ExternalTls }, CLOSED)),
  },
  CLOSED,
)
export type Upstream = Static<typeof Upstream>
export type ExternalTls = Static<typeof ExternalTls>

export const AgentContent = Type.Object(
  {
    service: WorkloadUri,
    mode: Mode,
    policy: Type.Unsafe<object>(Type.Object({})),
    upstreams: Type.Array(Upstream, { maxItems: MAX_UPSTREAMS }),
    certificateIssuedAfter: Type.Union([Instant, Type.Null()]),
    classOids: Type.Record(ClassName, Oid, { maxProperties: 256, additionalProperties: false }),
    broker: Type.Array(Type.String({ pattern: '^[!-~]{1,300}$' }), { maxItems: 16 }),
    api: Type.Array(Type.String({ pattern: '^[!-~]{1,300}$' }), { maxItems: 16 }),
  },
  CLOSED,
)

/**
 * What one instance needs: its service, its slice of the compiled policy (opaque here; `@vcc/policy` parses
 * it), whom it may call and where. An agent renews while `notBefore + 300 s < certificateIssuedAfter`.
 */
export type AgentContent = Static<typeof AgentContent>

/** @throws {MeshError} `state_malformed` */
export function parseAgentContent(value: unknown): AgentContent {
  const content = parse(value)
  const names = new Set(content.upstreams.map(({ name }) => name))
  const ids = new Set(content.upstreams.map(({ id }) => id))
  if (names.size !== content.upstreams.length || ids.size !== content.upstreams.length) {
    throw new MeshError('state_malformed', 'agent content: an upstream is listed twice')
  }
  for (const upstream of content.upstreams) checkUpstream(upstream)
  return content
}

function checkUpstream({ name, kind, external, addresses }: Upstream): void {
  if ((kind === 'external') !== (external !== undefined)) {
    throw new MeshError('state_malformed', `upstream ${name}: exactly external targets say how they are recognised`)
  }
  if (external?.tls.trust === 'plain' && !addresses.every(({ host }) => isLoopback(host))) {
    throw new MeshError('state_malformed', `upstream ${name}: without TLS only on loopback`)
  }
}

/** By literal address only: a name, `localhost` among them, resolves to whatever the resolver says. */
function isLoopback(host: string): boolean {
  return host === '::1' || /^127(?:\.(?:0|[1-9][0-9]{0,2})){3}$/u.test(host)
}

const parse = parserOf(AgentContent, 'state_malformed', 'agent content')
