import { KeyError, type KeyFailure } from '../error.ts'

/** The KeyError a promise is rejected with; anything else fails the test. */
export async function refusalOf(work: Promise<unknown>): Promise<KeyError> {
  const outcome = await work.then(
    () => 'no refusal',
    (error: unknown) => error,
  )
  if (outcome instanceof KeyError) return outcome
  throw new Error('not a KeyError', { cause: outcome })
}

/** Its code, or `ok`. */
export async function outcomeOf(work: Promise<unknown>): Promise<KeyFailure | 'ok'> {
  return work.then(
    () => 'ok',
    (error: unknown) => {
      if (error instanceof KeyError) return error.code
      throw error
    },
  )
}

/** Asks again until it is so; tests assert no times. */
export async function eventually(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const until = Date.now() + 90_000
  while (!(await isSo())) {
    if (Date.now() > until) throw new Error(`not seen: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
