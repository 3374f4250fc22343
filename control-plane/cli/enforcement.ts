import type { Enforcement } from '@vcc/api'
import { type Command, EXIT, setExitCode, withFormat } from '@vcc/runtime'
import { type WaitFlags, withWait } from './wait.ts'
import { localTime } from './words.ts'

export interface EnforcementFlags extends WaitFlags {
  readonly acceptUnreached?: boolean
}

/** Options of everything that has to reach every agent. */
export function withEnforcement(command: Command): Command {
  return withWait(withFormat(command).option('-y, --yes', 'do not ask'), '15s')
    .option('--accept-unreached', 'exit 0 although some agents have not acknowledged')
    .addHelpText('after', '\nExit 0 when it is enforced on every agent, 8 when some were not reached yet.')
}

/** Exit 0 means that it is so everywhere. */
export function judge(enforcement: Enforcement | null, flags: EnforcementFlags): void {
  if ((enforcement?.not_reached.length ?? 0) > 0 && flags.acceptUnreached !== true) setExitCode(EXIT.pending)
}

/** `enforced on 4 of 5`, and who is missing, and for how long. */
export function enforcementText(enforcement: Enforcement): string {
  const { enforced_on: on, of, not_reached: missing } = enforcement
  return [
    `enforced on ${on} of ${of} agents`,
    ...missing.map(
      (one) =>
        `  not reached: ${one.service} ${one.instance_id}${one.connected ? '' : ', not connected'}; ` +
        (one.enforce_until === null
          ? 'it never reported any state, so it lets nobody in'
          : `without news it stops at ${localTime(one.enforce_until)}`),
    ),
  ].join('\n')
}
