import type { Outcome } from './answer.ts'

/** Collects what was answered into lines of up to a hundred, so that a busy responder does not write one for each. */
export interface AnswerLog extends Disposable {
  readonly onAnswer: (issuerId: string, serialHex: string, outcome: Outcome) => void
  /** Writes what was collected: at the end. */
  readonly flush: () => void
}

/**
 * @param write Gets the answers of one line, each as `<first 8 of ca_id>:<serial>:<outcome>`. A line is written when it is full,
 *   and at the latest after a second.
 */
export function answerLog(write: (answers: readonly string[]) => void): AnswerLog {
  let entries: string[] = []
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (entries.length === 0) return
    const full = entries
    entries = []
    write(full)
  }

  return {
    onAnswer(issuerId, serialHex, outcome) {
      entries.push(`${issuerId.slice(0, 8)}:${serialHex}:${outcome}`)
      if (entries.length >= ENTRIES_PER_LINE) flush()
      else timer ??= setTimeout(flush, 1000).unref()
    },
    flush,
    [Symbol.dispose]: flush,
  }
}

const ENTRIES_PER_LINE = 100
