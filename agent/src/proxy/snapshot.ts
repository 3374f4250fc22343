import type { Denied } from '@vcc/mesh'
import { type ClassName, className, type PolicyIndex, parseWorkloadId, type WorkloadId } from '@vcc/policy'
import { type Certificate, decodeCertificate, nameValues, OID, uriIdentityOf, X509Error } from '@vcc/x509'
import type { PeerMemory, Trust } from './gate.ts'
import { buildTls, type Tls, type TlsSettings } from './tls.ts'
import type { Upstream } from './upstream.ts'

/** Who this agent is, as its certificate says. */
export interface Self {
  readonly id: WorkloadId
  readonly organization: string
  readonly service: string
  readonly instance: string
  readonly class: ClassName
  readonly serialHex: string
  readonly notAfter: Date
  /** The own certificate, DER. */
  readonly leaf: Buffer
}

/**
 * Everything the data plane works by, at one moment. Never changed: a new document, a new certificate and a longer
 * `enforceUntil` each make a new snapshot. Whatever reads two things reads them from the same snapshot.
 */
export interface Snapshot {
  readonly label: Generation
  /** Past this instant nothing is let through. */
  readonly enforceUntil: Date
  readonly self: Self
  readonly trust: Trust
  readonly policy: PolicyIndex
  /** How the local service is spoken to. */
  readonly mode: Mode
  readonly upstreams: ReadonlyMap<WorkloadId, Upstream>
  readonly tls: Tls
}

export type Mode = 'http' | 'tcp'

export interface Generation {
  readonly epoch: number
  readonly fleet: number
  readonly agent: number
}

export interface SnapshotInput {
  readonly label: Generation
  readonly enforceUntil: Date
  readonly trustDomain: string
  readonly anchors: readonly Certificate[]
  readonly issuers: readonly IssuerInput[]
  readonly denied: Denied
  readonly classOids: Readonly<Record<string, string>>
  readonly policy: PolicyIndex
  /** `chain` is leaf first, without the anchor. */
  readonly identity: { readonly keyPem: string; readonly chain: readonly Uint8Array[] }
  readonly mode: Mode
  readonly upstreams: readonly Upstream[]
  readonly tls?: Partial<TlsSettings>
}

/** One row of the issuer table. `trustDomain` only where it is a partner's own. */
export interface IssuerInput {
  readonly spkiSha256: string
  readonly organizations: readonly string[]
  readonly classes: readonly string[]
  readonly purposes: readonly string[]
  readonly trustDomain?: string
}

/**
 * Builds a snapshot. Where key, chain, anchors and TLS settings are those of `previous`, its TLS contexts are kept: a
 * refresh costs no new ones, and open connections of HTTP clients stay in use.
 *
 * Reads the own certificate's names, but does **not** judge whether it is still valid: the data plane does, at each
 * use.
 *
 * @throws {X509Error} when the own certificate names no service, instance or class; {TypeError} for an empty chain.
 */
export function createSnapshot(input: SnapshotInput, previous?: Snapshot): Snapshot {
  const classNames = new Map(Object.entries(input.classOids).map(([name, oid]) => [oid, className(name)]))
  const self = readSelf(input.identity.chain, classNames)
  const trust: Trust = {
    trustDomain: input.trustDomain,
    anchors: input.anchors,
    issuers: new Map(
      input.issuers.map((row) => [
        row.spkiSha256,
        {
          trustDomain: row.trustDomain ?? input.trustDomain,
          organizations: new Set(row.organizations),
          classes: new Set(row.classes),
          purposes: new Set(row.purposes),
        },
      ]),
    ),
    denied: input.denied,
    classNames,
    memory: new Map() satisfies PeerMemory,
  }
  return Object.freeze({
    label: input.label,
    enforceUntil: input.enforceUntil,
    self,
    trust,
    policy: input.policy,
    mode: input.mode,
    upstreams: new Map(input.upstreams.map((upstream) => [upstream.id, upstream])),
    tls: buildTls({ ...input.identity, anchors: input.anchors, settings: input.tls }, previous?.tls),
  })
}

/** The same state, enforceable for longer: what a refresh makes. */
export function extendSnapshot(snapshot: Snapshot, enforceUntil: Date): Snapshot {
  return Object.freeze({ ...snapshot, enforceUntil })
}

export function formatGeneration(label: Generation): string {
  return `${label.epoch}.${label.fleet}.${label.agent}`
}

function readSelf(chain: readonly Uint8Array[], classNames: ReadonlyMap<string, ClassName>): Self {
  const [leafDer] = chain
  if (leafDer === undefined) throw new TypeError('the own certificate is missing')
  const leaf = decodeCertificate(leafDer)
  const { id, organization, service } = parseWorkloadId(uriIdentityOf(leaf))
  const [instance] = nameValues(leaf.subject, OID.commonName)
  if (instance === undefined) throw new TypeError('the own certificate names no instance')
  const classes = (leaf.extensions.certificatePolicies ?? []).flatMap(({ oid }) => classNames.get(oid) ?? [])
  const [ownClass] = classes
  if (ownClass === undefined) throw new X509Error('class_missing', 'the own certificate asserts no known class')
  if (classes.length > 1) throw new X509Error('class_ambiguous', 'the own certificate asserts several classes')
  const { serialHex, notAfter } = leaf
  return { id, organization, service, instance, class: ownClass, serialHex, notAfter, leaf: Buffer.from(leafDer) }
}
