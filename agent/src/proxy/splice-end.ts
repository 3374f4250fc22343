import type { EndCode } from './close-record.ts'
import type { SpliceEnd } from './splice.ts'

/** How the end of a splice reads in a record. `by` says whom each side of the splice leads to. */
export function endOf(
  end: SpliceEnd,
  by: { readonly a: EndCode; readonly b: EndCode },
): { readonly code: string; readonly detail?: string } {
  if (end.how === 'failed') return { code: by[end.side], detail: end.error.message }
  // Whoever cuts a splice has told the registry why, and that reason is the one recorded.
  return { code: end.how === 'aborted' ? 'complete' : end.how }
}
