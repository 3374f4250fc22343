import type { JoinTokenList } from '@vcc/api'
import {
  type Command,
  type Format,
  formatTable,
  isTerminal,
  parseDuration,
  printResult,
  withFormat,
  writeErr,
  writeFileAtomic,
  writeOut,
} from '@vcc/runtime'
import { connection } from './connection.ts'
import { localTime } from './words.ts'

interface CreateFlags {
  readonly lifetime: string
  readonly output?: string
  readonly format: Format
}

/** `tokens …` */
export function addTokens(root: Command): void {
  const tokens = root.command('tokens').description('Single-use tokens by which agents join.')
  withFormat(
    tokens.command('create <service>').description('Create a token for one instance of a service. It is shown once.'),
  )
    .option('--lifetime <duration>', 'how long it may be used', '1h')
    .option('-o, --output <file>', 'write it there, mode 0600; `-` is standard output')
    .addHelpText(
      'after',
      `
Example:
  vcc-pki tokens create argus --output argus.token`,
    )
    .action(create)
  withFormat(tokens.command('list').description('Tokens, never their secrets.')).action(
    async ({ format }: { format: Format }) => {
      await using api = await connection()
      const { items } = await api.call('tokenList', {})
      printResult(format, 'JoinTokenList', { items }, () =>
        formatTable(
          [
            { header: 'TOKEN', text: (one: JoinTokenList['items'][number]) => one.token_id },
            { header: 'SERVICE', text: (one) => one.service_name },
            { header: 'STATE', text: (one) => one.state },
            { header: 'INSTANCE', text: (one) => one.instance_id ?? '-' },
            { header: 'ENDS', text: (one) => localTime(one.expires_at) },
          ],
          items,
        ),
      )
    },
  )
  withFormat(tokens.command('withdraw <id>').description('Withdraw a token that was not used.')).action(
    async (id: string, { format }: { format: Format }) => {
      await using api = await connection()
      await api.call('tokenWithdraw', { params: { token_id: id } })
      printResult(format, 'Withdrawn', { token_id: id }, () => `withdrew ${id}`)
    },
  )
}

async function create(service: string, flags: CreateFlags): Promise<void> {
  await using api = await connection()
  const lifetime = Math.round(parseDuration(flags.lifetime).ms / 1000)
  const created = await api.call('tokenCreate', { body: { service_name: service, lifetime_seconds: lifetime } })
  const { token, ...about } = created
  if (flags.output === undefined || flags.output === '-') {
    if (flags.format === 'json') printResult('json', 'JoinToken', created, () => '')
    else writeOut(`${token}\n`)
    if (isTerminal('stdout')) writeErr('it is on the screen now: prefer --output FILE\n')
    return
  }
  await writeFileAtomic(flags.output, `${token}\n`, { mode: 0o600 })
  const next = `vcc-agent join --control ${api.context.apiUrl} --fingerprint ${created.fingerprint} --token-file ${flags.output}`
  printResult(flags.format, 'JoinToken', { ...about, file: flags.output }, () =>
    [
      `token for one instance of ${created.service_name} in ${flags.output}, until ${localTime(created.expires_at)}`,
      `next, beside the service: ${next}`,
    ].join('\n'),
  )
}
