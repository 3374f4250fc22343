import process from 'node:process'
import { createInterface } from 'node:readline/promises'
import { isTerminal } from '../host.ts'
import { CliError } from './exit.ts'
import { printable } from './text.ts'

export interface Confirmation {
  /** What will happen, one sentence. */
  readonly question: string
  /** The name that has to be typed; without it, `yes`. */
  readonly expect?: string
  /** The value of `--yes`: no question. */
  readonly yes: boolean
  readonly signal?: AbortSignal
  /** Instead of the terminal: tests. */
  readonly ask?: (prompt: string) => Promise<string>
}

/**
 * Asks before something that cannot be undone.
 *
 * @throws {CliError} `confirmation_needed` without a terminal or `--yes`, `confirmation_refused` for any other answer
 */
export async function confirm(confirmation: Confirmation): Promise<void> {
  if (confirmation.yes) return
  if (confirmation.ask === undefined && !(isTerminal('stdin') && isTerminal('stderr'))) {
    throw new CliError('usage', 'confirmation_needed', 'this needs a confirmation and there is no terminal to ask on', {
      hint: 'add --yes if you mean it',
    })
  }
  const expected = confirmation.expect ?? 'yes'
  const prompt = `${printable(confirmation.question)}\nType "${printable(expected)}" to go on: `
  const { signal } = confirmation
  const answer = await (confirmation.ask?.(prompt) ?? ask(prompt, signal === undefined ? {} : { signal }))
  if (answer.trim() !== expected)
    throw new CliError('failed', 'confirmation_refused', 'not confirmed; nothing was changed')
}

/**
 * One line from the terminal, asked for on standard error. Nobody may be there: see `isTerminal`.
 *
 * @throws {CliError} `interrupted` for Ctrl-D; an AbortError for Ctrl-C, and when the signal aborts
 */
export async function ask(prompt: string, options: { signal?: AbortSignal } = {}): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr, terminal: true })
  const closed = Promise.withResolvers<never>()
  terminal.once('close', () => closed.reject(new CliError('interrupted', 'interrupted', 'no answer was given')))
  try {
    return await Promise.race([terminal.question(prompt, options), closed.promise])
  } finally {
    terminal.close()
  }
}
