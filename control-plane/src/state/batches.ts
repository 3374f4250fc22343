/** Documents signed at a time: their commits share a flush, and the event loop has its turn between them. */
const BATCH = 64

/** Works on all, so many at a time; what fails is thrown when the others are done. */
export async function inBatches<T>(all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  const failures: unknown[] = []
  for (let at = 0; at < all.length; at += BATCH) {
    const outcomes = await Promise.allSettled(all.slice(at, at + BATCH).map(work))
    failures.push(...outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : [])))
  }
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} of ${all.length} failed`)
}
