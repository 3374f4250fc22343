import type { CertificateQuery, CertificateStatus, CertificateSummary, RouteInput } from '@vcc/api'
import {
  CliError,
  type Command,
  type Format,
  formatTable,
  Option,
  parseDuration,
  printResult,
  readFileBounded,
  withFormat,
  writeFileAtomic,
} from '@vcc/runtime'
import { decodePem } from '@vcc/x509'
import { type Connection, connection } from './connection.ts'
import { facts, localTime } from './words.ts'

interface ListFlags {
  readonly service?: string
  readonly instance?: string
  readonly purpose?: string
  readonly state?: CertificateSummary['state']
  readonly expiresBefore?: string
  readonly limit: string
  readonly all?: boolean
  readonly filter?: readonly string[]
  readonly format: Format
}

interface RequestFlags {
  readonly template: 'vcc-service' | 'vcc-admin'
  readonly csr: string
  readonly service?: string
  readonly account?: string
  readonly validity?: string
  readonly idempotencyKey?: string
  readonly output?: string
  readonly format: Format
}

/** `certificates …`, `list-certificates` (the sources' name) and `templates …`. */
export function addCertificates(root: Command): void {
  const certificates = root.command('certificates').description('Certificates: find, look at, request.')
  listOptions(certificates.command('list').description('Certificates, newest first.')).action(list)
  listOptions(root.command('list-certificates').description('The same as `certificates list`.')).action(list)
  withFormat(certificates.command('show <id>').description('One certificate, by its id or serial.')).action(
    async (id: string, { format }: { format: Format }) => {
      await using api = await connection()
      printResult(format, 'Certificate', await api.call('certStatus', { params: { cert_id: id } }), certificateFacts)
    },
  )
  withFormat(certificates.command('history <id>').description('What came before and after a certificate.')).action(
    async (id: string, { format }: { format: Format }) => {
      await using api = await connection()
      const history = await api.call('certHistory', { params: { cert_id: id } })
      printResult(format, 'CertificateHistory', history, () =>
        formatTable(
          [
            { header: 'SERIAL', text: (one: (typeof history.items)[number]) => one.serial_number },
            { header: 'CAUSE', text: (one) => one.cause },
            { header: 'STATE', text: (one) => one.state },
            { header: 'ISSUED', text: (one) => localTime(one.created_at) },
            { header: 'EXPIRES', text: (one) => localTime(one.expires_at) },
          ],
          history.items,
        ),
      )
    },
  )
  withFormat(certificates.command('request').description('Have a certificate issued for a CSR.'))
    .addOption(new Option('--template <id>', 'what kind').choices(['vcc-service', 'vcc-admin']).makeOptionMandatory())
    .requiredOption('--csr <file>', 'PKCS#10 request, PEM or DER')
    .option('--service <name>', 'vcc-service: the registered service')
    .option('--account <name>', 'vcc-admin: the account; the certificate carries a pseudonym')
    .option('--validity <duration>', 'shorter than the template’s')
    .option('--idempotency-key <key>', 'repeat the request with it and get the same certificate')
    .option('-o, --output <file>', 'write the chain there')
    .action(request)
  const templates = root.command('templates').description('Certificate templates.')
  withFormat(templates.command('list').description('Templates.')).action(async ({ format }: { format: Format }) => {
    await using api = await connection()
    const { items } = await api.call('templateList', {})
    printResult(format, 'TemplateList', { items }, () => items.map((one) => one.template_id).join('\n'))
  })
  withFormat(templates.command('show <id>').description('One template as YAML.')).action(
    async (id: string, { format }: { format: Format }) => {
      await using api = await connection()
      printResult(
        format,
        'Template',
        await api.call('templateShow', { params: { template_id: id } }),
        (one) => one.yaml,
      )
    },
  )
}

function listOptions(command: Command): Command {
  return withFormat(command)
    .option('--service <name>', 'of one service')
    .option('--instance <id>', 'of one instance')
    .option('--purpose <purpose>', 'vcc_service, admin, ca, control, broker, state')
    .addOption(new Option('--state <state>', 'only these').choices(['valid', 'expired', 'revoked', 'orphaned']))
    .option('--expires-before <duration>', 'that end within it, as in 7d')
    .option('--filter <key=value...>', 'the same filters, as the sources write them')
    .option('--limit <n>', 'how many', '50')
    .option('--all', 'every page')
}

async function list(flags: ListFlags): Promise<void> {
  await using api = await connection()
  const query = queryOf(flags)
  const items: CertificateSummary[] = []
  let next: string | null = null
  do {
    const page: { items: CertificateSummary[]; next: string | null } = await api.call('certList', {
      query: next === null ? query : { ...query, after: next },
    })
    items.push(...page.items)
    next = flags.all === true ? page.next : null
  } while (next !== null)
  printResult(flags.format, 'CertificateList', { items }, () =>
    formatTable(
      [
        { header: 'SERIAL', text: (one: CertificateSummary) => one.serial_number },
        { header: 'PURPOSE', text: (one) => one.purpose },
        { header: 'FOR', text: (one) => one.service_name ?? one.subject_dn },
        { header: 'INSTANCE', text: (one) => one.instance_id ?? '-' },
        { header: 'STATE', text: (one) => one.state },
        { header: 'EXPIRES', text: (one) => localTime(one.expires_at) },
      ],
      items,
    ),
  )
}

function queryOf(flags: ListFlags): CertificateQuery {
  const named = Object.fromEntries((flags.filter ?? []).map(pairOf))
  const limit = Number(flags.limit)
  if (!Number.isInteger(limit) || limit < 1 || limit > 500)
    throw new CliError('usage', 'option_invalid', '--limit takes 1 to 500')
  const before = flags.expiresBefore === undefined ? undefined : Date.now() + parseDuration(flags.expiresBefore).ms
  return {
    ...named,
    limit,
    ...(flags.service === undefined ? {} : { service: flags.service }),
    ...(flags.instance === undefined ? {} : { instance: flags.instance }),
    ...(flags.purpose === undefined ? {} : { purpose: flags.purpose }),
    ...(flags.state === undefined ? {} : { state: flags.state }),
    ...(before === undefined ? {} : { expires_before: `${new Date(before).toISOString().slice(0, 19)}Z` }),
  }
}

const FILTERS: Readonly<Record<string, string>> = {
  service: 'service',
  instance: 'instance',
  purpose: 'purpose',
  state: 'state',
  serial: 'serial',
  ca: 'issuing_ca_id',
}

/** `purpose=admin`; a bare word is a purpose, as in the sources' `--filter code-signing`. */
function pairOf(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 0) return ['purpose', text.replaceAll('-', '_')]
  const name = FILTERS[text.slice(0, at)]
  if (name === undefined) {
    throw new CliError('usage', 'option_invalid', `--filter knows no "${text.slice(0, at)}"`, {
      hint: Object.keys(FILTERS).join(', '),
    })
  }
  return [name, text.slice(at + 1)]
}

async function request(flags: RequestFlags): Promise<void> {
  const file = await readFileBounded(flags.csr, 65_536)
  const der = file.toString('latin1').includes('-----BEGIN') ? csrOf(file.toString('latin1')) : file
  const body: RouteInput<'certRequest'>['body'] = {
    template: flags.template,
    csr: Buffer.from(der).toString('base64'),
    ...(flags.service === undefined ? {} : { service_name: flags.service }),
    ...(flags.account === undefined ? {} : { account: flags.account }),
    ...(flags.validity === undefined ? {} : { validity_period: flags.validity }),
    ...(flags.idempotencyKey === undefined ? {} : { idempotency_key: flags.idempotencyKey }),
  }
  await using api: Connection = await connection()
  const issued = await api.call('certRequest', { body })
  if (flags.output !== undefined) await writeFileAtomic(flags.output, issued.chain_pem, { mode: 0o644 })
  printResult(flags.format, 'IssuedCertificate', issued, () =>
    flags.output === undefined
      ? issued.chain_pem
      : `${issued.cert_id}, until ${localTime(issued.expires_at)}, in ${flags.output}`,
  )
}

function csrOf(pem: string): Uint8Array {
  const [der] = [...decodePem(pem.replaceAll('NEW CERTIFICATE REQUEST', 'CERTIFICATE REQUEST'), 'CERTIFICATE REQUEST')]
  if (der === undefined) throw new CliError('usage', 'csr_unreadable', 'the file holds no certificate request')
  return der
}

function certificateFacts(one: CertificateStatus): string {
  const text = facts({
    id: one.cert_id,
    serial: one.serial_number,
    'issued by': one.issuing_ca_id,
    subject: one.subject_dn,
    uri: one.uri,
    'dns names': one.dns_names.join(', ') || '-',
    purpose: one.purpose,
    class: one.class,
    service: one.service_name,
    instance: one.instance_id,
    state: one.state,
    'valid from': localTime(one.not_before),
    'valid until': localTime(one.expires_at),
    'key (SPKI SHA-256)': one.spki_sha256,
    revoked: one.revoked_at === null ? 'no' : `${localTime(one.revoked_at)}, ${one.revocation_reason ?? 'no reason'}`,
  })
  return one.certificate_pem === null ? text : `${text}\n${one.certificate_pem}`
}
