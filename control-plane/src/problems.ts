import { PROBLEMS, type Problem, type ProblemCode, type ProblemDocument } from '@vcc/api'
import { KeyError } from '@vcc/keys'
import { errorCode, RuntimeError } from '@vcc/runtime'
import { AuditError } from './audit/entry.ts'
import { DatabaseError, type DatabaseFailure } from './database/errors.ts'
import { CLOCK_HINT, DomainError, type Fault } from './errors.ts'
import { keyProblem } from './keys/problems.ts'

/** RFC 9457 problem for whatever a handler threw. What we do not know is a bare 500: its text is for the log only. */
export function problemFor(error: unknown, requestId: string): ProblemDocument {
  if (error instanceof DomainError) return problem(error.code, requestId, error.message, error.hint, error.faults)
  if (error instanceof AuditError && error.code === 'audit_clock_behind') {
    return problem('clock_behind', requestId, error.message, CLOCK_HINT)
  }
  if (error instanceof KeyError) return problem(keyProblem(error), requestId)
  const storage = error instanceof DatabaseError ? STORAGE[error.code] : fileProblem(error)
  if (storage !== undefined) return problem(storage, requestId, ...STORAGE_WORDS[storage])
  const code = frameworkCode(error)
  return code === undefined ? problem('internal', requestId) : problem(code, requestId, messageOf(error))
}

export function problem(
  code: ProblemCode,
  requestId: string,
  detail?: string,
  hint?: string,
  faults: readonly Fault[] = [],
): ProblemDocument {
  const { status, title } = PROBLEMS[code]
  return {
    type: `urn:vcc:problem:${code}`,
    title,
    status,
    code,
    request_id: requestId,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    ...(faults.length === 0 ? {} : { errors: faults.map((fault) => ({ ...fault })) }),
  }
}

/** How many seconds a caller should wait, where waiting alone may help. */
export function retryAfterSeconds({ code }: ProblemDocument): number | undefined {
  const row: Problem | undefined = PROBLEMS[code as ProblemCode] // undefined for a code that is not ours
  return row?.retryAfterSeconds
}

type StorageProblem = 'unavailable' | 'storage_full' | 'storage_failed'

/** What is not listed is a mistake of ours. */
const STORAGE: Partial<Record<DatabaseFailure, StorageProblem>> = {
  database_overloaded: 'unavailable',
  database_busy: 'unavailable',
  database_closed: 'unavailable',
  queue_deadline: 'unavailable',
  database_full: 'storage_full',
  database_failed: 'storage_failed',
  database_corrupt: 'storage_failed',
  database_read_only: 'storage_failed',
}

const STORAGE_WORDS: Readonly<Record<StorageProblem, readonly [detail: string, hint: string]>> = {
  unavailable: ['the database has more to do than it can', 'try again shortly'],
  storage_full: ['nothing was stored, and nothing is lost', 'make room on its disk, then try again'],
  storage_failed: ['nothing was stored; what was answered before is', 'its log says what failed; it needs a restart'],
}

/** A file of the key store that could not be written. */
function fileProblem(error: unknown): StorageProblem | undefined {
  if (!(error instanceof RuntimeError) || error.code !== 'file_unwritable') return undefined
  const code = errorCode(error.cause)
  return code === 'ENOSPC' || code === 'EDQUOT' ? 'storage_full' : 'storage_failed'
}

/** Fastify's own refusals of a request, before a handler runs. Others of its codes are our mistakes: 500. */
const FRAMEWORK_CODES: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'media_type_unsupported',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'request_invalid',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'request_invalid',
  FST_ERR_CTP_INVALID_JSON_BODY: 'request_invalid',
  FST_ERR_VALIDATION: 'request_invalid',
  FST_ERR_BAD_URL: 'request_invalid',
}

function frameworkCode(error: unknown): ProblemCode | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  return FRAMEWORK_CODES[error.code]
}

function messageOf(error: unknown): string | undefined {
  return error instanceof Error ? error.message : undefined
}
