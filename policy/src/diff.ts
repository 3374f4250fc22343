import type { CompiledPolicy, Edge, MeshSubject, Subject } from './compiled.ts'
import { byCodeUnits, type WorkloadId } from './workload-id.ts'

/** What another policy changes, each list sorted. A rule that only moved to another place in its file is no change. */
export interface PolicyDiff {
  readonly gained: readonly Edge[]
  readonly lost: readonly Edge[]
  readonly servicesAdded: readonly WorkloadId[]
  readonly servicesRemoved: readonly WorkloadId[]
  /** Of services that are in both. */
  readonly classChanges: readonly Change[]
  /** Isolation, kind (mesh or external), accepted classes beside the own one, recorded fields. */
  readonly subjectChanges: readonly (Change & { readonly field: SubjectField })[]
  /** Edges in both of which the callee is told other permissions, or admits other classes. */
  readonly edgeChanges: readonly EdgeChange[]
}

export interface Change {
  readonly id: WorkloadId
  readonly before: string
  readonly after: string
}

export interface EdgeChange {
  readonly source: WorkloadId
  readonly target: WorkloadId
  readonly field: 'permissions' | 'caller classes'
  readonly before: string
  readonly after: string
}

export type SubjectField = 'kind' | 'accepted classes' | 'isolation_level' | 'recorded'

/** Compares two whole policies, or two slices of one service. Without `before`, everything is new. */
export function diff(before: CompiledPolicy | undefined, after: CompiledPolicy): PolicyDiff {
  const old = { edges: edgesByPair(before?.edges ?? []), subjects: subjectsOf(before) }
  const now = { edges: edgesByPair(after.edges), subjects: subjectsOf(after) }
  const common = [...now.subjects].flatMap(([id, subject]) => {
    const former = old.subjects.get(id)
    return former === undefined ? [] : [{ id, before: former, after: subject }]
  })
  return {
    gained: after.edges.filter((edge) => !old.edges.has(pairKey(edge))),
    lost: (before?.edges ?? []).filter((edge) => !now.edges.has(pairKey(edge))),
    servicesAdded: missingFrom(old.subjects, now.subjects),
    servicesRemoved: missingFrom(now.subjects, old.subjects),
    classChanges: common.flatMap(classChange),
    subjectChanges: common.flatMap(subjectChanges),
    edgeChanges: after.edges.flatMap((edge) => edgeChanges(old.edges.get(pairKey(edge)), edge)),
  }
}

export function isUnchanged(changes: PolicyDiff): boolean {
  return Object.values(changes).every((list: readonly unknown[]) => list.length === 0)
}

interface Both {
  readonly id: WorkloadId
  readonly before: Subject
  readonly after: Subject
}

function classChange({ id, before, after }: Both): readonly Change[] {
  if (before.kind === 'external' || after.kind === 'external' || before.class === after.class) return []
  return [{ id, before: before.class, after: after.class }]
}

function subjectChanges({ id, before, after }: Both): PolicyDiff['subjectChanges'] {
  const changes = [
    { field: 'kind', before: before.kind, after: after.kind },
    { field: 'isolation_level', before: before.isolation, after: after.isolation },
    ...(before.kind === 'mesh' && after.kind === 'mesh' ? meshChanges(before, after) : []),
  ] as const
  return changes.filter((change) => change.before !== change.after).map((change) => ({ id, ...change }))
}

function meshChanges(before: MeshSubject, after: MeshSubject) {
  return [
    { field: 'accepted classes', before: beside(before), after: beside(after) },
    { field: 'recorded', before: words(before.recorded), after: words(after.recorded) },
  ] as const
}

function beside(subject: MeshSubject): string {
  return words(subject.accepts.filter((each) => each !== subject.class))
}

function edgeChanges(before: Edge | undefined, after: Edge): readonly EdgeChange[] {
  if (before === undefined) return []
  const { source, target } = after
  const changes = [
    { field: 'permissions', before: words(before.permissions), after: words(after.permissions) },
    { field: 'caller classes', before: words(before.sourceClasses ?? []), after: words(after.sourceClasses ?? []) },
  ] as const
  return changes.filter((change) => change.before !== change.after).map((change) => ({ source, target, ...change }))
}

function words(list: readonly string[]): string {
  return list.length === 0 ? 'none' : list.join(', ')
}

function missingFrom(a: ReadonlyMap<WorkloadId, unknown>, b: ReadonlyMap<WorkloadId, unknown>): readonly WorkloadId[] {
  return [...b.keys()].filter((id) => !a.has(id)).toSorted(byCodeUnits)
}

function edgesByPair(edges: readonly Edge[]): ReadonlyMap<string, Edge> {
  return new Map(edges.map((edge) => [pairKey(edge), edge]))
}

function subjectsOf(policy: CompiledPolicy | undefined): ReadonlyMap<WorkloadId, Subject> {
  return new Map(Object.entries(policy?.subjects ?? {}).map(([id, subject]) => [id as WorkloadId, subject])) // mint: the keys of subjects are ids
}

/** IDs have no blanks. */
function pairKey({ source, target }: Edge): string {
  return `${source} ${target}`
}
