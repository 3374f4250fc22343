import type { HsmStatus, KeySummary, KeyUse, RouteInput } from '@vcc/api'
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
import { facts } from './words.ts'

type Filter = RouteInput<'hsmKeyList'>['query']
type NewKey = RouteInput<'hsmKeyGenerate'>['body']

/** `keys …` */
export function addKeys(root: Command): void {
  const keys = root.command('keys').description('Private keys of CAs and signers: in the HSM, or in files.')
  withFormat(keys.command('status').description('Whether the HSM answers, and where new keys are made.')).action(
    async ({ format }: { format: Format }) => {
      await using api = await connection()
      printResult(format, 'HsmStatus', await api.call('hsmStatus', {}), statusText)
    },
  )
  withFormat(keys.command('list').description('All keys: purpose, where held, what uses them.'))
    .addOption(new Option('--held <where>', 'only those held there').choices(['software', 'hsm']))
    .addOption(new Option('--purpose <purpose>', 'only those made for it').choices(PURPOSES))
    .action(async ({ format, ...query }: Filter & { format: Format }) => {
      await using api = await connection()
      const { items } = await api.call('hsmKeyList', { query })
      printResult(format, 'KeyList', { items }, () => formatTable(COLUMNS, items))
    })
  withFormat(keys.command('show <key-label>').description('One key, and its public half as PEM.'))
    .option('-o, --output <file>', 'write the public half there')
    .action(show)
  withFormat(
    keys.command('generate <purpose>').description('Make a key, where the configuration says for its purpose.'),
  )
    .addOption(new Option('--algorithm <kind>', 'kind of key').choices(ALGORITHMS).default('P-256'))
    .addHelpText('after', GENERATE_HELP)
    .action(
      async (purpose: NewKey['purpose'], flags: { algorithm: NonNullable<NewKey['algorithm']>; format: Format }) => {
        await using api = await connection()
        const made = await api.call('hsmKeyGenerate', { body: { purpose, algorithm: flags.algorithm } })
        printResult(flags.format, 'Key', made, (key) => `made ${key.key_label} (${key.algorithm}, ${heldText(key)})`)
      },
    )
  withFormat(keys.command('delete <key-label>').description('Destroy a key that no CA and no signer of state uses.'))
    .option('--yes', 'do not ask', false)
    .action(async (label: string, { yes, format }: { yes: boolean; format: Format }) => {
      await using api = await connection()
      const key = await api.call('hsmKeyShow', { params: { key_label: label } })
      const question = `This destroys ${key.key_label} (${key.algorithm}, ${heldText(key)}). Nothing brings it back.`
      await confirm({ question, expect: key.purpose, yes })
      await api.call('hsmKeyDelete', { params: { key_label: label } })
      printResult(format, 'KeyDeleted', { key_label: label }, () => `destroyed ${label}`)
    })
}

async function show(label: string, flags: { output?: string; format: Format }): Promise<void> {
  await using api = await connection()
  const params = { key_label: label }
  const [key, { public_key_pem }] = await Promise.all([
    api.call('hsmKeyShow', { params }),
    api.call('hsmKeyPublic', { params }),
  ])
  if (flags.output !== undefined) await writeFileAtomic(flags.output, public_key_pem, { mode: 0o644 })
  printResult(flags.format, 'Key', { ...key, public_key_pem }, () => {
    const { attributes } = key
    const about = facts({
      key: key.key_label,
      purpose: key.purpose,
      algorithm: key.algorithm,
      held: heldText(key),
      ...(attributes === null ? {} : { attributes: attributeText(attributes) }),
      'used by': usesText(key),
      'SPKI SHA-256': key.spki_sha256,
    })
    return `${about}\n${flags.output === undefined ? public_key_pem.trimEnd() : `wrote ${flags.output}`}`
  })
}

function statusText(one: HsmStatus): string {
  const { token } = one
  const lines = facts({
    HSM: one.code === null ? STATES[one.state] : `${STATES[one.state]}: ${one.detail} [${one.code}]`,
    ...(one.hint === null ? {} : { hint: one.hint }),
    ...(one.module === null ? {} : { module: one.module }),
    ...(token === null
      ? {}
      : {
          token: `${token.label}, serial ${token.serial_number}, ${token.manufacturer} ${token.model} ${token.firmware}`,
          sessions: `${one.sessions}, ${one.under_way} requests under way, ${one.waiting} waiting`,
          restarts: one.restarts,
        }),
  })
  const stores = Object.entries(one.stores).map(([purpose, held]) => `${purpose} ${HELD[held]}`)
  return `${lines}\nnew keys: ${stores.join(', ')}`
}

const STATES = {
  not_configured: 'none is configured',
  ready: 'answers',
  trial: 'was away, and is tried again',
  unavailable: 'does not answer',
} as const satisfies Record<HsmStatus['state'], string>

const HELD = { software: 'in a file', hsm: 'in the HSM' } as const satisfies Record<KeySummary['held'], string>

function heldText({ held }: KeySummary): string {
  return HELD[held]
}

function attributeText(attributes: NonNullable<KeySummary['attributes']>): string {
  const said = Object.entries(attributes).map(([name, value]) => `${name.replaceAll('_', ' ')}: ${value ?? 'not said'}`)
  return said.join(', ')
}

function usesText({ used_by }: KeySummary): string {
  return used_by.length === 0 ? '-' : used_by.map(useText).join(', ')
}

function useText(use: KeyUse): string {
  return use.kind === 'ca' ? `CA ${use.name}` : `signer of state (${use.role})`
}

const COLUMNS = [
  { header: 'KEY', text: (one: KeySummary) => one.key_label },
  { header: 'PURPOSE', text: (one: KeySummary) => one.purpose },
  { header: 'KIND', text: (one: KeySummary) => one.algorithm },
  { header: 'HELD', text: heldText },
  { header: 'USED BY', text: usesText },
]

const PURPOSES = ['root', 'issuing', 'state', 'audit', 'feed', 'ocsp', 'tsa', 'code-signing']
const ALGORITHMS = ['P-256', 'P-384', 'RSA-3072', 'RSA-4096']
const GENERATE_HELP = `
Purposes: ${PURPOSES.join(', ')}. A key signs for the one it was made for, and for no other.

Example:
  vcc-pki keys generate tsa --algorithm P-384`
