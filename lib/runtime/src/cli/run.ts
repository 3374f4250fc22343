import { Command, CommanderError } from 'commander'
import { errorCode } from '../error.ts'
import {
  environment,
  exitCode,
  isTerminal,
  programArguments,
  setExitCode,
  surviveClosedPipes,
  writeErr,
  writeOut,
} from '../host.ts'
import { CliError, EXIT, type ExitName } from './exit.ts'
import { printable } from './text.ts'

/** A program whose commands suggest the right word and never end the process themselves. */
export function createProgram(name: string, description: string, version: string): Command {
  return new Command(name)
    .description(description)
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({ writeOut, writeErr: () => {}, outputError: () => {} })
}

export interface RunCliOptions {
  readonly argv?: readonly string[]
  /** Turns errors of the program's own libraries into a `CliError`; `undefined` for one it does not know. */
  readonly explain?: (error: unknown) => CliError | undefined
}

/**
 * Parses the arguments, runs the command they name, prints what went wrong and sets the exit code.
 *
 * An error is one sentence, a `hint:` line, and its code in brackets, on standard error.
 * An error nobody foresaw is `[internal_error]`; its stack is printed under `VCC_DEBUG=1` only.
 *
 * @returns the exit code, which is also the process's unless that is already a failure
 */
export async function runCli(program: Command, options: RunCliOptions = {}): Promise<number> {
  surviveClosedPipes()
  inherit(program)
  try {
    await program.parseAsync([...(options.argv ?? programArguments())], { from: 'user' })
    return exitCode()
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCode()
    const shown = options.explain?.(error) ?? explain(error, program)
    writeErr(formatCliError(program.name(), shown, isTerminal('stderr')))
    setExitCode(EXIT[shown.exit])
    return EXIT[shown.exit]
  }
}

/** The three lines an operator sees. */
export function formatCliError(program: string, error: CliError, colour = false): string {
  const mark = colour && !isSet('NO_COLOR') ? `\x1b[31m${program}:\x1b[0m` : `${program}:`
  const lines = error.message.split('\n').map(printable)
  const hint = error.hint === undefined ? '' : `hint: ${error.hint.split('\n').map(printable).join('\n      ')}\n`
  const debug = isSet('VCC_DEBUG')
    ? `${error.stack}\n${error.cause instanceof Error ? `${error.cause.stack}\n` : ''}`
    : ''
  return `${mark} ${lines.join('\n')}\n${hint}[${error.code}]\n${debug}`
}

/** What we can say about an error by itself: its own hint and code, usage, configuration, network, interruption. */
function explain(error: unknown, program: Command): CliError {
  if (error instanceof CliError) return error
  if (error instanceof CommanderError) return usageError(error, program)
  if (!(error instanceof Error)) return new CliError('failed', 'internal_error', String(error))
  const code = errorCode(error)
  if (code !== undefined && code in EXIT_OF) {
    return new CliError(EXIT_OF[code] ?? 'failed', code, error.message, { cause: error, hint: hintOf(error) })
  }
  if (error.name === 'AbortError') return new CliError('interrupted', 'interrupted', 'interrupted', { cause: error })
  if (code !== undefined && /^[a-z][a-z0-9_]*$/.test(code)) {
    return new CliError('failed', code, error.message, { cause: error, hint: hintOf(error) })
  }
  return new CliError('failed', 'internal_error', `unexpected failure: ${error.message}`, {
    cause: error,
    hint: 'VCC_DEBUG=1 shows where',
  })
}

function usageError(error: CommanderError, program: Command): CliError {
  const words = error.message.replace(/^error: /, '')
  if (error.code === 'commander.help') {
    return new CliError('usage', 'usage_invalid', 'a command is missing', { hint: `${program.name()} --help` })
  }
  const [message = words, suggestion] = words.split('\n')
  return new CliError('usage', 'usage_invalid', message, {
    hint: suggestion?.replace(/^\((.*)\)$/, '$1') ?? `${program.name()} --help`,
  })
}

function hintOf(error: Error): string | undefined {
  return 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined
}

/** Settings hold for commands that were added whole, too. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command)
    inherit(child)
  }
}

function isSet(name: string): boolean {
  const value = environment()[name]
  return value !== undefined && value !== '' && value !== '0'
}

const EXIT_OF: Readonly<Record<string, ExitName>> = {
  config_invalid: 'usage',
  node_too_old: 'usage',
  duration_invalid: 'usage',
  deadline_exceeded: 'unreachable',
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  ETIMEDOUT: 'unreachable',
}
