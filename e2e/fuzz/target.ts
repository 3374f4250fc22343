import type { Random } from './random.ts'

/** Something that reads what nobody has vouched for. */
export interface Target {
  readonly name: string
  /** Makes ready once. What it returns draws one input, feeds it, and says what became of it, or throws `FuzzFault`. */
  readonly prepare: () => RunCase
}

export type RunCase = (random: Random, note: (input: string | Uint8Array) => void) => Verdict

export type Verdict = 'taken' | 'refused'

/** A case that shows a fault of the product. */
export class FuzzFault extends Error {
  override readonly name = 'FuzzFault'
}

/** An error class of the product with its closed table of codes. */
export interface Refusals {
  readonly error: new (...args: never[]) => Error & { readonly code: string }
  readonly codes: object
}

/** Whether `work` takes its input or refuses it with one of `refusals`. Anything else that it throws is a fault. */
export function judge(work: () => unknown, ...refusals: readonly Refusals[]): Verdict {
  try {
    work()
    return 'taken'
  } catch (cause) {
    if (cause instanceof FuzzFault) throw cause
    const isOurs = refusals.some(({ error, codes }) => cause instanceof error && Object.hasOwn(codes, cause.code))
    if (isOurs) return 'refused'
    throw new FuzzFault(`it threw ${String(cause)}`, { cause })
  }
}

/** For what carries a signature: whatever is taken must be one of the originals. */
export function assertOriginal(taken: string, originals: ReadonlySet<string>): void {
  if (!originals.has(taken)) throw new FuzzFault('what nobody signed was taken')
}
