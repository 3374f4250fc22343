import { CliError, type Command, parseDuration } from '@vcc/runtime'

export interface WaitFlags {
  readonly wait: string
}

/** `--wait`, for what every agent concerned has to do before the command is done. */
export function withWait(command: Command, initial: string): Command {
  return command.option('--wait <duration>', 'how long to wait for the agents, at most 60s', initial)
}

/** @throws {CliError} `option_invalid` for more than an answer of the API may take. */
export function waitSeconds({ wait }: WaitFlags): number {
  const seconds = Math.round(parseDuration(wait).ms / 1000)
  if (seconds <= MAX_SECONDS) return seconds
  throw new CliError('usage', 'option_invalid', `--wait takes at most ${MAX_SECONDS}s, not "${wait}"`, {
    hint: 'what agents have not done by then is told; vcc-pki instances list shows when they have',
  })
}

const MAX_SECONDS = 60
