import type { Denial, DenialAnswer, DenialTarget } from '@vcc/api'
import {
  CliError,
  type Command,
  confirm,
  type Format,
  formatTable,
  printResult,
  showProgress,
  withFormat,
} from '@vcc/runtime'
import { connection } from './connection.ts'
import { type EnforcementFlags, enforcementText, judge, withEnforcement } from './enforcement.ts'
import { waitSeconds } from './wait.ts'
import { localTime, yesNo } from './words.ts'

interface DenyFlags extends EnforcementFlags {
  readonly note: string
  readonly yes?: boolean
  readonly format: Format
}

/** `deny …` and `denials …` */
export function addDenials(root: Command): void {
  withEnforcement(
    root
      .command('deny <kind> <value>')
      .description('Shut out at once: an identity, a key, a certificate, or all a CA signed.'),
  )
    .requiredOption('--note <text>', 'why; people see it in `denials list`')
    .addHelpText(
      'after',
      `
Examples:
  vcc-pki deny identity argus --note "INC-7: host taken over"
  vcc-pki deny key 3f…9a --note "found on a paste site"
  vcc-pki deny serial 5c01…  --note "test"
  vcc-pki deny issuer 0b12…  --note "partner's CA is suspect"

It stands until it is released: vcc-pki denials release ID`,
    )
    .action(deny)
  const denials = root.command('denials').description('What is shut out of the mesh by decision.')
  withFormat(denials.command('list').description('Standing denials, newest first.'))
    .option('--released', 'those that were released too')
    .action(list)
  withEnforcement(denials.command('release <id>').description('Let in again what a denial shut out.')).action(release)
}

async function deny(kind: string, value: string, flags: DenyFlags): Promise<void> {
  const body = { target: targetOf(kind, value), note: flags.note, wait_seconds: waitSeconds(flags) }
  await confirm({ question: `Shut out the ${kind} ${value} from the whole mesh?`, yes: flags.yes === true })
  await using api = await connection()
  using _ = showProgress('waiting for the agents')
  report(await api.call('denialCreate', { body }), flags)
}

async function release(id: string, flags: Omit<DenyFlags, 'note'>): Promise<void> {
  const body = { wait_seconds: waitSeconds(flags) }
  await confirm({ question: `Release the denial ${id}?`, yes: flags.yes === true })
  await using api = await connection()
  using _ = showProgress('waiting for the agents')
  report(await api.call('denialRelease', { params: { denial_id: id }, body }), flags)
}

async function list({ released, format }: { released?: boolean; format: Format }): Promise<void> {
  await using api = await connection()
  const { items } = await api.call('denialList', { query: { released: released === true } })
  printResult(format, 'DenialList', { items }, () =>
    formatTable(
      [
        { header: 'ID', text: (one: Denial) => one.denial_id },
        { header: 'KIND', text: (one) => one.kind },
        { header: 'VALUE', text: (one) => one.value },
        { header: 'SINCE', text: (one) => localTime(one.created_at) },
        { header: 'STANDS', text: (one) => yesNo(one.released_at === null) },
        { header: 'NOTE', text: (one) => one.note },
      ],
      items,
    ),
  )
}

function report(answer: DenialAnswer, flags: EnforcementFlags & { format: Format }): void {
  judge(answer.enforcement, flags)
  const { denial, enforcement } = answer
  const did = denial.released_at === null ? 'shut out' : 'released'
  printResult(flags.format, 'DenialAnswer', answer, () =>
    [`${did}: ${denial.kind} ${denial.value}, denial ${denial.denial_id}`, enforcementText(enforcement)].join('\n'),
  )
}

function targetOf(kind: string, value: string): DenialTarget {
  if (kind === 'identity') return { kind, service: value }
  if (kind === 'key') return { kind, spki_sha256: value }
  if (kind === 'serial') return { kind, cert_id: value }
  if (kind === 'issuer') return { kind, ca_id: value }
  throw new CliError('usage', 'argument_invalid', `"${kind}" cannot be denied`, {
    hint: 'identity SERVICE, key SPKI-SHA256, serial CERT, or issuer CA-ID',
  })
}
