import type { BulkRevokeRequest, RevocationAnswer, RevocationFilter, RevocationReason } from '@vcc/api'
import {
  CliError,
  type Command,
  confirm,
  type Format,
  formatTable,
  Option,
  printResult,
  readFileBounded,
  showProgress,
  writeErr,
} from '@vcc/runtime'
import { connection } from './connection.ts'
import { type EnforcementFlags, enforcementText, judge, withEnforcement } from './enforcement.ts'
import { waitSeconds } from './wait.ts'
import { localTime } from './words.ts'

interface RevokeFlags extends EnforcementFlags {
  readonly reason: string
  readonly since?: string
  readonly incident?: string
  readonly yes?: boolean
  readonly format: Format
}

interface BulkFlags extends RevokeFlags {
  readonly list?: string
  readonly service?: string
  readonly instance?: string
  readonly issuer?: string
  readonly spki?: string
  readonly purpose?: string
  readonly issuedBefore?: string
  readonly issuedAfter?: string
  readonly ofIncident?: string
  readonly dryRun?: boolean
}

/** `revoke …`, and `authorities revoke` beside it. */
export function addRevoke(root: Command): void {
  withGround(root.command('revoke <cert>').description('Revoke one certificate, by its id or serial.')).action(one)
  withGround(
    root
      .command('revoke-bulk')
      .description('Revoke many certificates: a list, a filter, or what an incident revoked before.'),
  )
    .option('--list <file>', 'ids or serials, one a line')
    .option('--service <name>', 'those of a service')
    .option('--instance <id>', 'those of an instance')
    .option('--issuer <ca-id>', 'those of a CA')
    .option('--spki <sha256>', 'those of a public key, by the SHA-256 of its SPKI')
    .option('--purpose <purpose>', 'those of a purpose')
    .option('--issued-before <instant>', 'issued before, as 2026-11-22T13:00:00Z')
    .option('--issued-after <instant>', 'issued then or later')
    .option('--of-incident <incident>', 'what that incident revoked, to make it key-compromise')
    .option('--dry-run', 'say what would be revoked, and revoke nothing')
    .addHelpText(
      'after',
      `
Examples:
  vcc-pki revoke-bulk --service argus --issued-before 2026-11-20T00:00:00Z --reason key-compromise --incident INC-7 --dry-run
  vcc-pki revoke-bulk --list stolen.txt --reason key-compromise --incident INC-7`,
    )
    .action(many)
  const authorities = root.commands.find((command) => command.name() === 'authorities')
  if (authorities === undefined) throw new TypeError('`authorities` comes before `revoke`')
  withGround(
    authorities
      .command('revoke <ca-id>')
      .description('Revoke an issuing CA: nothing it ever signed is accepted any more.'),
  ).action(authority)
}

function withGround(command: Command): Command {
  return withEnforcement(command)
    .addOption(new Option('--reason <reason>', 'why').choices(REASONS).makeOptionMandatory())
    .option('--since <instant>', 'since when the key is suspected to be compromised')
    .option('--incident <id>', 'incident it belongs to, in your own system')
}

async function one(cert: string, flags: RevokeFlags): Promise<void> {
  await confirm({ question: `Revoke the certificate ${cert}? This cannot be undone.`, yes: flags.yes === true })
  await using api = await connection()
  using _ = showProgress('waiting for the agents')
  report(await api.call('certRevoke', { params: { cert_id: cert }, body: groundOf(flags) }), flags)
}

async function authority(caId: string, flags: RevokeFlags): Promise<void> {
  await confirm({ question: `Revoke the CA ${caId} and all it signed?`, expect: caId, yes: flags.yes === true })
  await using api = await connection()
  using _ = showProgress('waiting for the agents')
  report(await api.call('caRevoke', { params: { ca_id: caId }, body: groundOf(flags) }), flags)
}

async function many(flags: BulkFlags): Promise<void> {
  const request = { ...groundOf(flags), select: await selectionOf(flags) }
  await using api = await connection()
  const foreseen = await api.call('certRevokeBulk', { body: { ...request, dry_run: true } })
  if (flags.dryRun === true) {
    printResult(flags.format, 'RevocationAnswer', foreseen, answerText)
    return
  }
  writeErr(`${answerText(foreseen)}\n`)
  if (foreseen.count === 0)
    throw new CliError('notFound', 'nothing_to_revoke', 'nothing is selected that is not revoked already')
  await confirm({ question: `Revoke ${foreseen.count} certificates?`, yes: flags.yes === true })
  using _ = showProgress('waiting for the agents')
  report(await api.call('certRevokeBulk', { body: { ...request, dry_run: false } }), flags)
}

async function selectionOf(flags: BulkFlags): Promise<BulkRevokeRequest['select']> {
  const filter = filterOf(flags)
  const chosen = [flags.list, flags.ofIncident, ...(filter === undefined ? [] : ['filter'])].filter(
    (one) => one !== undefined,
  )
  if (chosen.length !== 1) {
    throw new CliError('usage', 'option_missing', 'say --list, --of-incident, or filter by --service, --issuer, …', {
      hint: 'vcc-pki revoke-bulk --help',
    })
  }
  if (flags.ofIncident !== undefined) return { incident: flags.ofIncident }
  if (filter !== undefined) return { filter }
  const text = (await readFileBounded(flags.list ?? '', 131_072)).toString('utf8')
  return {
    cert_ids: text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#')),
  }
}

function filterOf(flags: BulkFlags): RevocationFilter | undefined {
  const filter = {
    ...(flags.service === undefined ? {} : { service: flags.service }),
    ...(flags.instance === undefined ? {} : { instance: flags.instance }),
    ...(flags.issuer === undefined ? {} : { issuing_ca_id: flags.issuer }),
    ...(flags.spki === undefined ? {} : { spki_sha256: flags.spki }),
    ...(flags.purpose === undefined ? {} : { purpose: flags.purpose }),
    ...(flags.issuedBefore === undefined ? {} : { issued_before: flags.issuedBefore }),
    ...(flags.issuedAfter === undefined ? {} : { issued_after: flags.issuedAfter }),
  }
  return Object.keys(filter).length === 0 ? undefined : filter
}

function groundOf(flags: RevokeFlags) {
  return {
    reason: flags.reason.replaceAll('-', '_') as RevocationReason, // one of the choices
    wait_seconds: waitSeconds(flags),
    ...(flags.since === undefined ? {} : { invalidity_date: flags.since }),
    ...(flags.incident === undefined ? {} : { incident: flags.incident }),
  }
}

function report(answer: RevocationAnswer, flags: RevokeFlags): void {
  judge(answer.enforcement, flags)
  printResult(flags.format, 'RevocationAnswer', answer, answerText)
}

function answerText(answer: RevocationAnswer): string {
  const { dry_run: isDry, revoked, count, already, blocked_keys: blocked, enforcement } = answer
  const table = formatTable(
    [
      { header: 'SERIAL', text: (row: (typeof revoked)[number]) => row.serial_number },
      { header: 'PURPOSE', text: (row) => row.purpose },
      { header: 'SERVICE', text: (row) => row.service_name ?? '-' },
      { header: 'INSTANCE', text: (row) => row.instance_id ?? '-' },
      { header: 'EXPIRES', text: (row) => localTime(row.expires_at) },
    ],
    revoked,
  )
  return [
    `${isDry ? 'would revoke' : 'revoked'}: ${count}`,
    ...(count === 0 ? [] : [table]),
    ...(count > revoked.length ? [`… and ${count - revoked.length} more`] : []),
    ...(already.length === 0 ? [] : [`revoked before, unchanged: ${already.length}`]),
    ...blocked.map((key) => `${isDry ? 'would block' : 'blocked'} for ever: the key ${key}`),
    ...(enforcement === null ? [] : [enforcementText(enforcement)]),
  ].join('\n')
}

const REASONS = [
  'unspecified',
  'key-compromise',
  'ca-compromise',
  'affiliation-changed',
  'superseded',
  'cessation-of-operation',
  'privilege-withdrawn',
]
