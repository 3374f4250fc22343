import { KeyError } from '../error.ts'
import type { Answer, Operation, Request } from './message.ts'

/** One request on its way: waiting, under way, or settled, in this order and settled once. */
export interface Entry {
  readonly request: Request
  state: 'waiting' | 'under_way' | 'settled'
  /** Asked a second time already. */
  retried: boolean
  readonly settle: (outcome: Outcome) => void
}

export type Outcome = { readonly answer: Answer } | { readonly error: KeyError }

/**
 * Requests that wait for the token, in order, at most `limit`. Each has a deadline for its turn and may be given up: what
 * is past that never reaches the token. A request that is under way when it is given up is answered then, and what the
 * token says later is thrown away.
 */
export class RequestQueue {
  readonly #limit: number
  readonly #entries: Entry[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  get length(): number {
    return this.#entries.length
  }

  /** @throws {KeyError} `signer_deadline` for a signal that has aborted, `hsm_busy` */
  add<Op extends Operation>(
    request: Request<Op>,
    { signal, timeoutMs }: { signal?: AbortSignal | undefined; timeoutMs: number },
  ): Promise<Answer<Op>> {
    if (signal?.aborted === true) throw givenUp(signal.reason)
    if (this.#entries.length >= this.#limit) {
      throw new KeyError('hsm_busy', `${this.#entries.length} requests wait for the token already`)
    }
    const { promise, resolve, reject } = Promise.withResolvers<Answer<Op>>()
    const abort = () => this.#drop(entry, givenUp(signal?.reason))
    const late = setTimeout(() => {
      if (entry.state === 'waiting') this.#drop(entry, tooLate())
    }, timeoutMs)
    signal?.addEventListener('abort', abort, { once: true })
    const entry: Entry = {
      request,
      state: 'waiting',
      retried: false,
      settle(outcome) {
        if (entry.state === 'settled') return
        entry.state = 'settled'
        clearTimeout(late)
        signal?.removeEventListener('abort', abort)
        // The signer process's answer was checked against the shape of this operation's.
        if ('answer' in outcome) resolve(outcome.answer as Answer<Op>)
        else reject(outcome.error)
      },
    }
    this.#entries.push(entry)
    return promise
  }

  /** The next one; it is under way now. */
  take(): Entry | undefined {
    const entry = this.#entries.shift()
    if (entry !== undefined) entry.state = 'under_way'
    return entry
  }

  /** In front of all others, for its second and last turn. False when it had that, or nobody waits for it. */
  putBack(entry: Entry): boolean {
    if (entry.retried || entry.state === 'settled') return false
    entry.retried = true
    entry.state = 'waiting'
    this.#entries.unshift(entry)
    return true
  }

  refuseAll(error: KeyError): void {
    for (const entry of this.#entries.splice(0)) entry.settle({ error })
  }

  #drop(entry: Entry, error: KeyError): void {
    const at = this.#entries.indexOf(entry)
    if (at !== -1) this.#entries.splice(at, 1)
    entry.settle({ error })
  }
}

function givenUp(reason: unknown): KeyError {
  return new KeyError('signer_deadline', 'the request was given up before its answer was there', { cause: reason })
}

function tooLate(): KeyError {
  return new KeyError('signer_deadline', 'the turn of the request did not come in time')
}
