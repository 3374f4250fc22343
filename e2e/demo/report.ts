import { styleText } from 'node:util'

const out = (line: string) => void process.stdout.write(`${line}\n`)
const began = performance.now()

/** Seconds since the demo began, so that a reader sees what takes how long. */
function clock(): string {
  return styleText('dim', `${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s`)
}

export function headline(text: string): void {
  out(`\n${styleText('bold', text)}`)
}

/** Something that was done. */
export function say(text: string): void {
  out(`${clock()}  ${text}`)
}

/** Something that was seen. */
export function seen(text: string): void {
  out(`${clock()}  ${styleText('green', '✓ seen')}  ${text}`)
}

/** What a command printed, as an operator would see it. */
export function quote(command: string, output: string): void {
  out(`${' '.repeat(10)}$ ${command}`)
  for (const line of output.trimEnd().split('\n')) out(`${' '.repeat(10)}${styleText('dim', line)}`)
}

export function failed(text: string): void {
  out(`${clock()}  ${styleText('red', '✗ NOT SEEN')}  ${text}`)
}

/** Commands to copy: nothing stands before them. */
export function suggest(commands: readonly string[]): void {
  for (const command of commands) out(command)
}

/** A check of the demo: what was expected, and what was there instead. */
export function expect(isSo: boolean, what: string, instead?: unknown): asserts isSo {
  if (isSo) return
  throw new Error(
    instead === undefined
      ? what
      : `${what}; instead: ${typeof instead === 'string' ? instead : JSON.stringify(instead)}`,
  )
}
