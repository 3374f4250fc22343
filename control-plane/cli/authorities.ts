import type { Authority } from '@vcc/api'
import { type Command, type Format, formatTable, printResult, withFormat, writeFileAtomic } from '@vcc/runtime'
import { connection } from './connection.ts'
import { localTime } from './words.ts'

/** `authorities …` */
export function addAuthorities(root: Command): void {
  const authorities = root.command('authorities').description('The CA hierarchy.')
  withFormat(authorities.command('list').description('Roots and issuing CAs.')).action(
    async ({ format }: { format: Format }) => {
      await using api = await connection()
      const { items } = await api.call('caList', {})
      printResult(format, 'AuthorityList', { items }, () => formatTable(COLUMNS, items))
    },
  )
  withFormat(
    authorities
      .command('create <name>')
      .description('A further Services CA: it issues from now on, the older ones stay trusted.'),
  )
    .option('--validity <duration>', 'shorter than three years')
    .action(async (name: string, flags: { validity?: string; format: Format }) => {
      await using api = await connection()
      const validity = flags.validity === undefined ? {} : { validity_period: flags.validity }
      const created = await api.call('caCreate', { body: { kind: 'services', name, ...validity } })
      printResult(
        flags.format,
        'Authority',
        created,
        () => `created ${created.name} (${created.ca_id}), until ${localTime(created.expires_at)}`,
      )
    })
  withFormat(authorities.command('chain <ca-id>').description('The chain of a CA as PEM, root last.'))
    .option('-o, --output <file>', 'write it there')
    .action(async (id: string, flags: { output?: string; format: Format }) => {
      await using api = await connection()
      const chain = await api.call('caChain', { params: { ca_id: id } })
      if (flags.output !== undefined) await writeFileAtomic(flags.output, chain.chain_pem, { mode: 0o644 })
      printResult(flags.format, 'AuthorityChain', chain, () =>
        flags.output === undefined ? chain.chain_pem : `wrote ${flags.output}`,
      )
    })
}

const COLUMNS = [
  { header: 'NAME', text: (one: Authority) => one.name },
  { header: 'CA ID', text: (one: Authority) => one.ca_id },
  { header: 'KEY', text: (one: Authority) => `${one.key_algorithm}, ${one.key_held}` },
  { header: 'STATE', text: (one: Authority) => one.state },
  { header: 'ENDS', text: (one: Authority) => localTime(one.expires_at) },
  { header: 'SUBJECT', text: (one: Authority) => one.subject_dn },
]
