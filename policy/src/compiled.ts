import type { ClassName } from './class-name.ts'
import type { DenyCode } from './deny.ts'
import type { Isolation } from './matrix.ts'
import type { WorkloadId } from './workload-id.ts'

declare const checked: unique symbol

/**
 * The matrices of all organisations, resolved to full IDs. Plain JSON in a deterministic order, so that equal
 * meaning is equal bytes; this is what travels in signed state.
 *
 * Minted by `compile`, `slice` and `parseCompiled` only.
 */
export interface CompiledPolicy {
  readonly format: 1
  readonly trustDomain: string
  /** The control plane's number of the policy. */
  readonly version: number
  /** `whole`, or the service whose calls, in and out, this slice knows completely. */
  readonly scope: 'whole' | WorkloadId
  /** Keys in code unit order. */
  readonly subjects: Readonly<Record<WorkloadId, Subject>>
  /** Sorted by source, then target; at most one of edges and refusals per pair. */
  readonly edges: readonly Edge[]
  readonly refusals: readonly Refusal[]
  readonly [checked]: true
}

export type Subject = MeshSubject | ExternalSubject

export interface MeshSubject {
  readonly kind: 'mesh'
  /** The class new certificates get. */
  readonly class: ClassName
  /** The classes peers accept: `class`, and a former or coming one during a change. Sorted. */
  readonly accepts: readonly ClassName[]
  readonly isolation: Isolation
  /** What its own organisation grants it; what one callee is told is in the edge. */
  readonly permissions: readonly string[]
  /** `field: value`: recorded, not enforced. */
  readonly recorded: readonly string[]
}

/** A service without an agent: no certificate, no class, decided on the outbound side only. */
export interface ExternalSubject {
  readonly kind: 'external'
  readonly isolation: Isolation
}

export interface Edge {
  readonly source: WorkloadId
  readonly target: WorkloadId
  readonly rule: string
  /** What the callee is told. Across organisations only what the callee's organisation grants. */
  readonly permissions: readonly string[]
  /** Across organisations: the classes the callee's organisation accepts, where it names one. */
  readonly sourceClasses?: readonly ClassName[]
}

/** A pair some rule speaks of and another refuses. Pairs no rule speaks of are in neither list: default-deny. */
export interface Refusal {
  readonly source: WorkloadId
  readonly target: WorkloadId
  readonly code: DenyCode
  /** The rule that refuses. */
  readonly rule: string
  /** The rule that would have allowed. */
  readonly via: string
}

/** Bounds of a compiled policy. */
export const LIMITS = {
  subjects: 20_000,
  /** Edges and refusals together. */
  pairs: 500_000,
  /** Accepted for one service at a time. */
  classes: 16,
} as const
