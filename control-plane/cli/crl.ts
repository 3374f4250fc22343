import type { CrlInfo, CrlStatus } from '@vcc/api'
import {
  type Command,
  confirm,
  type Format,
  formatTable,
  Option,
  printResult,
  withFormat,
  writeFileAtomic,
} from '@vcc/runtime'
import { connection } from './connection.ts'
import { facts, localTime, yesNo } from './words.ts'

interface GetFlags {
  readonly shard?: number
  readonly kind: string
  readonly output: string
  readonly format: Format
}

/** `crl …` */
export function addCrl(root: Command): void {
  const crl = root.command('crl').description('Certificate revocation lists. Verifiers fetch them over plain HTTP.')
  withFormat(crl.command('list').description('The CRLs that are served.')).action(
    async ({ format }: { format: Format }) => {
      await using api = await connection()
      const list = await api.call('crlInfo', { query: {} })
      printResult(format, 'CrlInfoList', list, () => formatTable(COLUMNS, list.items))
    },
  )
  withFormat(crl.command('status').description('Whether CRLs are issued on schedule, and which are late.')).action(
    async ({ format }: { format: Format }) => {
      await using api = await connection()
      const status = await api.call('crlStatus', {})
      printResult(format, 'CrlStatus', status, statusFacts)
    },
  )
  withFormat(
    crl.command('get [ca-id]').description('Fetch a CRL; without a CA, that of the CA that issues to services.'),
  )
    .option('--shard <number>', 'where the CA has several', Number)
    .addOption(
      new Option('--kind <kind>', 'complete, or what changed since').choices(['full', 'delta']).default('full'),
    )
    .requiredOption('-o, --output <file>', 'DER goes there')
    .action(get)
  withFormat(crl.command('regenerate [ca-id]').description('Issue complete CRLs now, of one CA or of all.')).action(
    async (caId: string | undefined, { format }: { format: Format }) => {
      await using api = await connection()
      const list = await api.call('crlRegenerate', { body: caId === undefined ? {} : { ca_id: caId } })
      printResult(format, 'CrlInfoList', list, () => formatTable(COLUMNS, list.items))
    },
  )
  withFormat(crl.command('start').description('Issue CRLs on schedule again.')).action(
    async ({ format }: { format: Format }) => {
      await using api = await connection()
      printResult(format, 'CrlStatus', await api.call('crlStart', {}), statusFacts)
    },
  )
  withFormat(crl.command('stop').description('Issue no CRLs on schedule; those that are served will lapse.'))
    .option('-y, --yes', 'do not ask')
    .action(async ({ format, yes }: { format: Format; yes?: boolean }) => {
      await confirm({ question: 'Stop issuing CRLs? Verifiers refuse everything once they lapse.', yes: yes === true })
      await using api = await connection()
      printResult(format, 'CrlStatus', await api.call('crlStop', {}), statusFacts)
    })
  const authorities = root.commands.find((command) => command.name() === 'authorities')
  if (authorities === undefined) throw new TypeError('`authorities` comes before `crl`')
  withFormat(
    authorities
      .command('shards <ca-id> <number>')
      .description('Spread what a CA issues from now on over so many CRLs. Older certificates stay where they are.'),
  ).action(async (id: string, shards: string, { format }: { format: Format }) => {
    await using api = await connection()
    const authority = await api.call('caShards', { params: { ca_id: id }, body: { crl_shards: Number(shards) } })
    printResult(
      format,
      'Authority',
      authority,
      () => `${authority.name} spreads what it issues over ${authority.crl_shards} CRLs`,
    )
  })
}

async function get(caId: string | undefined, flags: GetFlags): Promise<void> {
  await using api = await connection()
  const query = {
    ...(caId === undefined ? {} : { ca: caId }),
    ...(flags.shard === undefined ? {} : { shard: flags.shard }),
  }
  const der = await api.call(flags.kind === 'delta' ? 'crlDelta' : 'crlFull', { query })
  await writeFileAtomic(flags.output, der, { mode: 0o644 })
  printResult(flags.format, 'CrlFile', { file: flags.output, octets: der.length }, () => `wrote ${flags.output}`)
}

function statusFacts(status: CrlStatus): string {
  const hours = (seconds: number) => `${seconds / 3600} h`
  return facts({
    'on schedule': yesNo(status.running),
    'complete every': hours(status.full_interval_seconds),
    'delta every': hours(status.delta_interval_seconds),
    'valid longer by': hours(status.outage_budget_seconds),
    served: status.crls,
    'first lapses': localTime(status.first_next_update),
    late:
      status.late.length === 0 ? 'none' : status.late.map((one) => `${one.ca_id}/${one.shard} ${one.kind}`).join(', '),
  })
}

const COLUMNS = [
  { header: 'CA', text: (one: CrlInfo) => one.authority },
  { header: 'SHARD', text: (one: CrlInfo) => String(one.shard) },
  { header: 'KIND', text: (one: CrlInfo) => one.kind },
  { header: 'NUMBER', text: (one: CrlInfo) => String(one.number) },
  { header: 'ENTRIES', text: (one: CrlInfo) => String(one.entries) },
  { header: 'ISSUED', text: (one: CrlInfo) => localTime(one.this_update) },
  { header: 'NEXT BY', text: (one: CrlInfo) => localTime(one.next_update) },
  { header: 'URL', text: (one: CrlInfo) => one.url },
]
