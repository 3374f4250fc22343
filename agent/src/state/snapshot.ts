import type { AgentContent, HeldAgent, HeldFleet } from '@vcc/mesh'
import { indexPolicy, parseCompiled, parseWorkloadId } from '@vcc/policy'
import { type Certificate, encodePem } from '@vcc/x509'
import type { Identity } from '../identity/identity.ts'
import { createSnapshot, extendSnapshot, type Snapshot } from '../proxy/snapshot.ts'
import type { Upstream } from '../proxy/upstream.ts'

export interface SnapshotParts {
  readonly root: Certificate
  readonly fleet: HeldFleet
  readonly agent: HeldAgent
  readonly identity: Identity
  readonly keyExchange: readonly string[]
}

export interface BuiltSnapshot {
  readonly snapshot: Snapshot
  readonly parts: SnapshotParts
}

/**
 * What the data plane works by, from the two documents and the certificate in force. The shorter of the two terms
 * counts. Where only the terms are new, everything else stays that of `previous`.
 *
 * @throws {PolicyError} when the matrix in the document is of a format that this version does not read.
 */
export function snapshotOf(parts: SnapshotParts, previous: BuiltSnapshot | undefined): BuiltSnapshot {
  const { fleet, agent, identity, root } = parts
  const { content } = agent
  const enforceUntil = fleet.enforceUntil < agent.enforceUntil ? fleet.enforceUntil : agent.enforceUntil
  if (previous !== undefined && hasSameContent(parts, previous.parts)) {
    return { snapshot: extendSnapshot(previous.snapshot, enforceUntil), parts }
  }
  const snapshot = createSnapshot(
    {
      label: { epoch: agent.epoch, fleet: fleet.generation, agent: agent.generation },
      enforceUntil,
      trustDomain: fleet.trustDomain,
      anchors: [root],
      issuers: fleet.content.issuers,
      denied: fleet.denied,
      classOids: content.classOids,
      policy: indexPolicy(parseCompiled(content.policy)),
      identity: { keyPem: identity.key.privateKeyPem(), chain: identity.chain.map((certificate) => certificate.der) },
      mode: content.mode,
      upstreams: content.upstreams.map(upstreamOf),
      tls: { groups: parts.keyExchange.join(':') },
    },
    previous?.snapshot,
  )
  return { snapshot, parts }
}

/** A refresh keeps the very objects that a document brought. */
function hasSameContent(a: SnapshotParts, b: SnapshotParts): boolean {
  return (
    a.identity === b.identity &&
    a.fleet.content === b.fleet.content &&
    a.fleet.generation === b.fleet.generation &&
    a.agent.content === b.agent.content &&
    a.agent.generation === b.agent.generation &&
    a.agent.epoch === b.agent.epoch
  )
}

function upstreamOf({ id, name, mode, kind, addresses, external }: AgentContent['upstreams'][number]): Upstream {
  const about = { id: parseWorkloadId(id).id, name, mode, addresses }
  if (kind === 'mesh' || external === undefined) return { ...about, kind: 'mesh' }
  const { tls } = external
  if (tls.trust === 'plain') return { ...about, kind: 'external', trust: { tls: 'plain' } }
  if (tls.trust === 'spki') return { ...about, kind: 'external', trust: { tls: 'pin', spkiSha256: [tls.spkiSha256] } }
  const caPem = tls.ca.map((der) => encodePem('CERTIFICATE', Uint8Array.fromBase64(der))).join('')
  return { ...about, kind: 'external', trust: { tls: 'ca', caPem, dnsName: tls.dnsName } }
}
