import type { Command } from 'commander'
import { Option } from 'commander'
import { writeOut } from '../host.ts'

export const FORMATS = ['text', 'json'] as const
export type Format = (typeof FORMATS)[number]

/** Adds `--format text|json` to a command; its value is `format`. */
export function withFormat(command: Command): Command {
  return command.addOption(
    new Option('--format <format>', 'how the result is printed').choices(FORMATS).default('text'),
  )
}

/**
 * Prints a result on standard output: words for people, or one JSON object with `apiVersion` and `kind`
 * whose fields do not change within a version.
 */
export function printResult<T extends object>(format: Format, kind: string, data: T, text: (data: T) => string): void {
  if (format === 'json') return writeOut(`${JSON.stringify({ apiVersion: API_VERSION, kind, ...data })}\n`)
  const words = text(data)
  writeOut(words === '' || words.endsWith('\n') ? words : `${words}\n`)
}

const API_VERSION = 'vcc/v1'
