import { CliError, type Command, confirm, now, printResult, readKeyFile, withFormat } from '@vcc/runtime'
import { auditRows } from './audit/export.ts'
import { verifyChain } from './audit/verify.ts'
import { acknowledgeClock } from './clock/acknowledge.ts'
import { configOption, readControlConfig } from './config.ts'
import { openDatabase, openForReading } from './database/open.ts'
import { pathsOf } from './init/paths.ts'
import { VERSION } from './version.ts'

interface Flags {
  readonly config: string
  readonly format: 'text' | 'json'
}

/** `audit …` */
export function addAudit(root: Command): void {
  const audit = root.command('audit').description('The audit chain.')
  withFormat(
    configOption(
      audit
        .command('verify')
        .description('Prove the chain, or name the first broken row. Also while the control plane runs.'),
    ),
  ).action(verify)
  withFormat(
    configOption(
      audit
        .command('acknowledge-clock')
        .description('Put on record that the newest entry is of a clock that was wrong, and go on by the one of now.'),
    ),
  )
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      `
Needed when the clock was set back by more than five minutes: until then nothing is issued and no state is signed.
The control plane must be stopped. Agents keep the later time as the least they believe, until this clock passes it.`,
    )
    .action(acknowledge)
}

async function verify(flags: Flags): Promise<void> {
  const file = await readControlConfig(flags.config)
  const key = await readKeyFile(file.secrets.database_key_file)
  await using database = openForReading({ path: pathsOf(file.data).database, key })
  const verdict = await verifyChain(auditRows(database))
  if (!verdict.ok) {
    const sentence = `row ${verdict.seq} breaks the audit chain: ${verdict.reason}`
    throw new CliError('signatureWrong', 'audit_chain_broken', sentence, {
      hint: 'everything before it is proved; keep the file as it is, and compare with the last export',
    })
  }
  printResult(
    flags.format,
    'AuditVerdict',
    { ok: true, rows: verdict.count, head: verdict.head.hash },
    () => `${verdict.count} rows, unbroken; head ${verdict.head.seq} ${verdict.head.hash.slice(0, 32)}…`,
  )
}

async function acknowledge(flags: Flags & { readonly yes?: boolean }): Promise<void> {
  const file = await readControlConfig(flags.config)
  const key = await readKeyFile(file.secrets.database_key_file)
  await using database = openDatabase({ path: pathsOf(file.data).database, key }, { now })
  await confirm({ question: `Is the clock right now, at ${now().toISOString()}?`, yes: flags.yes === true })
  const clock = () => Temporal.Now.instant()
  const step = await acknowledgeClock(database, { now: clock, source: { component: 'vcc-control', build: VERSION } })
  printResult(flags.format, 'ClockStep', { acknowledged: step !== undefined, ...step }, () =>
    step === undefined
      ? 'the clock is not behind the audit chain; nothing was written'
      : `on record: the chain goes on at ${step.now}, after an entry of ${step.recorded}`,
  )
}
