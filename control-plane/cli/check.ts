import { type Command, EXIT, type Format, printResult, setExitCode, withFormat } from '@vcc/runtime'
import { connection } from './connection.ts'

/** `check SOURCE TARGET`: the question every operator asks first. */
export function addCheck(root: Command): void {
  withFormat(
    root.command('check <source> <target>').description('May SOURCE call TARGET under the policy in force, and why.'),
  )
    .addHelpText(
      'after',
      `
Example:
  vcc-pki check argus covina

Exit 0 when it may, 3 when it may not.`,
    )
    .action(async (source: string, target: string, { format }: { format: Format }) => {
      await using api = await connection()
      const answer = await api.call('communicationCheck', { body: { source, target } })
      if (!answer.allowed) setExitCode(EXIT.no)
      printResult(format, 'CommunicationCheck', answer, (one) => one.explanation)
    })
}
