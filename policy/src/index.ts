export { type ClassName, className } from './class-name.ts'
export { type CompileInput, compile } from './compile.ts'
export type { CompiledPolicy, Edge, ExternalSubject, MeshSubject, Refusal, Subject } from './compiled.ts'
export {
  type Call,
  type Decision,
  type Denial,
  type DialDecision,
  type DialPermit,
  decide,
  decideDial,
  type Permit,
} from './decide.ts'
export { DEFAULT_DENY, DENIALS, type DenyCode } from './deny.ts'
export { type Change, diff, type EdgeChange, isUnchanged, type PolicyDiff, type SubjectField } from './diff.ts'
export { POLICY_FAILURES, PolicyError, type PolicyFailure } from './error.ts'
export { explain } from './explain.ts'
export { formatDiff } from './format-diff.ts'
export type { Entry, Isolation, Matrix, Pattern, Recorded } from './matrix.ts'
export { canonicalOrganizationName, canonicalServiceName, RESERVED_SERVICE_NAMES } from './name.ts'
export { unknownClasses } from './notice.ts'
export { type ParseOptions, type ParseResult, parseMatrix } from './parse.ts'
export { parseCompiled } from './parse-compiled.ts'
export { indexPolicy, type PolicyIndex } from './policy-index.ts'
export {
  NOTICES,
  type Notice,
  type NoticeCode,
  type Position,
  PROBLEMS,
  type Problem,
  type ProblemCode,
} from './problem.ts'
export { registeredOnly } from './registered.ts'
export { samePolicy, slice, slicer } from './slice.ts'
export {
  displayName,
  type Home,
  parseWorkloadId,
  resolveWorkload,
  type WorkloadId,
  type WorkloadParts,
  workloadId,
} from './workload-id.ts'
