import { type ApiClient, ApiProblem, type PolicyApplied, type PolicyDiff, type PolicyVersion } from '@vcc/api'
import {
  CliError,
  type Command,
  confirm,
  EXIT,
  type Format,
  formatTable,
  printResult,
  readFileBounded,
  setExitCode,
  showProgress,
  withFormat,
  writeErr,
} from '@vcc/runtime'
import { connection } from './connection.ts'
import { type WaitFlags, waitSeconds, withWait } from './wait.ts'
import { localTime } from './words.ts'

interface ApplyFlags extends WaitFlags {
  readonly yes?: boolean
  readonly acceptPending?: boolean
  readonly format: Format
}

/** `policy …` */
export function addPolicy(root: Command): void {
  const policy = root.command('policy').description('The auth matrix: who may call whom.')
  withFormat(policy.command('diff <file>').description('What a matrix would change. Changes nothing.'))
    .option('--exit-code', 'exit 3 when it would change something')
    .action(async (file: string, flags: { exitCode?: boolean; format: Format }) => {
      await using api = await connection()
      const diff = await inFile(file, async (matrix) => api.call('policyDiff', { body: { matrix } }))
      if (flags.exitCode === true && changes(diff)) setExitCode(EXIT.no)
      printResult(flags.format, 'PolicyDiff', diff, diffText)
    })
  withAgents(policy.command('apply <file>').description('Put a matrix in force; the diff is shown first.'))
    .addHelpText(
      'after',
      `
Example:
  vcc-pki policy apply vcc_service_auth_matrix.yml --wait 30s

Exit 0 when every agent has it in force, 8 when some have not acknowledged yet.`,
    )
    .action(apply)
  withAgents(policy.command('rollback').description('Bring back the version before, or --to another.'))
    .option('--to <version>', 'version to bring back', Number)
    .action(rollback)
  withFormat(policy.command('list').description('Versions.')).action(async ({ format }: { format: Format }) => {
    await using api = await connection()
    const list = await api.call('policyList', {})
    printResult(format, 'PolicyList', list, () =>
      formatTable(
        [
          { header: 'VERSION', text: (one: PolicyVersion) => `${one.version}${one.active ? ' (in force)' : ''}` },
          { header: 'APPLIED', text: (one) => localTime(one.applied_at) },
          { header: 'BRINGS BACK', text: (one) => String(one.rolled_back_to ?? '-') },
          { header: 'SHA-256', text: (one) => one.sha256.slice(0, 16) },
        ],
        list.items,
      ),
    )
  })
  withFormat(
    policy.command('show [version]').description('The text of a version; of the one in force without a number.'),
  ).action(show)
}

function withAgents(command: Command): Command {
  return withWait(withFormat(command).option('-y, --yes', 'do not ask'), '15s').option(
    '--accept-pending',
    'exit 0 although some agents have not acknowledged',
  )
}

async function apply(file: string, flags: ApplyFlags): Promise<void> {
  const wait = waitSeconds(flags)
  await using api = await connection()
  const applied = await inFile(file, async (matrix) => {
    const diff = await api.call('policyDiff', { body: { matrix } })
    writeErr(`${diffText(diff)}\n`)
    if (changes(diff)) await confirm({ question: 'Put this in force?', yes: flags.yes === true })
    using _ = showProgress('waiting for the agents')
    const body = { matrix, expected_version: diff.from_version, wait_seconds: wait }
    return await api.call('policyApply', { body })
  })
  report(applied, flags)
}

async function rollback(flags: ApplyFlags & { readonly to?: number }): Promise<void> {
  if (flags.to !== undefined && !(Number.isInteger(flags.to) && flags.to > 0)) {
    throw new CliError('usage', 'option_invalid', '--to takes the number of a version', { hint: 'vcc-pki policy list' })
  }
  const wait = waitSeconds(flags)
  await using api = await connection()
  const version = flags.to ?? (await versionBefore(api))
  const { matrix } = await api.call('policyShow', { params: { version } })
  if (matrix !== undefined) writeErr(`${diffText(await api.call('policyDiff', { body: { matrix } }))}\n`)
  await confirm({ question: `Bring back version ${version}?`, yes: flags.yes === true })
  using _ = showProgress('waiting for the agents')
  report(await api.call('policyRollback', { body: { to_version: version, wait_seconds: wait } }), flags)
}

/** Before the one in force; where that is itself a roll-back, before the one it brought back. */
async function versionBefore(api: Pick<ApiClient, 'call'>): Promise<number> {
  const { items } = await api.call('policyList', {})
  const inForce = items.find((one) => one.active)
  const version = (inForce?.rolled_back_to ?? inForce?.version ?? 0) - 1
  if (version > 0) return version
  throw new CliError('notFound', 'policy_unknown', 'there is no earlier version', { hint: 'vcc-pki policy list' })
}

async function show(version: string | undefined, { format }: { format: Format }): Promise<void> {
  await using api = await connection()
  const number = version === undefined ? (await api.call('policyList', {})).active_version : Number(version)
  if (number === null)
    throw new CliError('notFound', 'no_policy', 'no policy is in force yet', { hint: 'vcc-pki policy apply FILE' })
  if (!Number.isInteger(number))
    throw new CliError('usage', 'option_invalid', `"${version}" is not the number of a version`)
  printResult(
    format,
    'PolicyVersion',
    await api.call('policyShow', { params: { version: number } }),
    (one) => one.matrix ?? '',
  )
}

function report(applied: PolicyApplied, flags: ApplyFlags): void {
  if (applied.pending.length > 0 && flags.acceptPending !== true) setExitCode(EXIT.pending)
  printResult(flags.format, 'PolicyApplied', applied, () =>
    [
      `${applied.changed ? 'applied' : 'unchanged'}: version ${applied.version}, in force on ${applied.in_force} of ${applied.of}`,
      ...applied.pending.map(
        (one) =>
          `  not yet: ${one.service} ${one.instance_id}${one.connected ? '' : ', not connected'}; works on what it has until ${localTime(one.enforce_until)}`,
      ),
    ].join('\n'),
  )
}

function diffText(diff: PolicyDiff): string {
  return [...diff.lines, ...diff.notices.map((notice) => `! ${notice}`)].join('\n')
}

function changes(diff: PolicyDiff): boolean {
  return diff.from_version === null || diff.lines.join() !== 'no change'
}

/** Faults of a matrix carry line and column; with the file's name before them editors jump there. */
async function inFile<T>(file: string, work: (matrix: string) => Promise<T>): Promise<T> {
  const matrix = (await readFileBounded(file, 1_048_576)).toString('utf8')
  return work(matrix).catch((error: unknown) => {
    if (!(error instanceof ApiProblem) || error.code !== 'policy_invalid') throw error
    const faults = (error.problem.errors ?? []).map(
      (fault) =>
        `${file}:${fault.line ?? 1}:${fault.column ?? 1}: ${fault.message}${fault.hint === undefined ? '' : ` (${fault.hint})`}`,
    )
    throw new CliError('usage', 'policy_invalid', [error.message, ...faults].join('\n'), { cause: error })
  })
}
