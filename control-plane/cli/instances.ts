import type { Instance } from '@vcc/api'
import {
  CliError,
  type Command,
  confirm,
  EXIT,
  type Format,
  formatTable,
  printResult,
  setExitCode,
  showProgress,
  withFormat,
} from '@vcc/runtime'
import { connection } from './connection.ts'
import { type WaitFlags, waitSeconds, withWait } from './wait.ts'
import { facts, localTime, yesNo } from './words.ts'

interface RotateFlags extends WaitFlags {
  readonly all?: boolean
  readonly service?: string
  readonly format: Format
}

/** `instances …` */
export function addInstances(root: Command): void {
  const instances = root.command('instances').description('Instances of services: one agent each.')
  withFormat(instances.command('list').description('Instances, and what each has in force.'))
    .option('--service <name>', 'of one service')
    .action(list)
  withFormat(instances.command('show <id>').description('One instance.')).action(
    async (id: string, { format }: { format: Format }) => {
      await using api = await connection()
      printResult(format, 'Instance', await api.call('instanceShow', { params: { instance_id: id } }), instanceFacts)
    },
  )
  const rotation = instances
    .command('rotate')
    .description('Have agents renew their certificates now. Connections stay.')
  withFormat(rotation).option('--all', 'every instance').option('--service <name>', 'the instances of one service')
  withWait(rotation, '30s').action(rotate)
  withFormat(instances.command('deregister <id>').description('It gets neither certificates nor state any more.'))
    .option('-y, --yes', 'do not ask')
    .action(async (id: string, flags: { yes?: boolean; format: Format }) => {
      await confirm({ question: `Deregister the instance ${id}?`, expect: id, yes: flags.yes === true })
      await using api = await connection()
      await api.call('instanceDeregister', { params: { instance_id: id } })
      printResult(flags.format, 'Deregistered', { instance: id }, () => `deregistered ${id}`)
    })
}

async function list({ service, format }: { service?: string; format: Format }): Promise<void> {
  await using api = await connection()
  const { items } = await api.call('instanceList', { query: service === undefined ? {} : { service } })
  printResult(format, 'InstanceList', { items }, () =>
    formatTable(
      [
        { header: 'INSTANCE', text: (one: Instance) => one.instance_id },
        { header: 'SERVICE', text: (one) => one.service_name },
        { header: 'CONNECTED', text: (one) => yesNo(one.connected) },
        { header: 'IN FORCE', text: (one) => yesNo(one.in_force) },
        { header: 'HEALTH', text: (one) => one.health },
        { header: 'SERVES', text: (one) => one.served_serial?.slice(0, 12) ?? '-' },
        { header: 'EXPIRES', text: (one) => localTime(one.expires_at) },
        { header: 'ADDRESSES', text: (one) => one.addresses.join(', ') || '-' },
      ],
      items,
    ),
  )
}

async function rotate(flags: RotateFlags): Promise<void> {
  if ((flags.all === true) === (flags.service !== undefined)) {
    throw new CliError('usage', 'option_missing', 'say --all or --service NAME')
  }
  const body = {
    wait_seconds: waitSeconds(flags),
    ...(flags.service === undefined ? { all: true } : { service: flags.service }),
  }
  await using api = await connection()
  using _ = showProgress('waiting for the agents')
  const answer = await api.call('instanceRotate', { body })
  if (answer.pending.length > 0) setExitCode(EXIT.pending)
  printResult(flags.format, 'Rotation', answer, () => {
    const pending = answer.pending.length === 0 ? '' : `\nnot yet: ${answer.pending.join(', ')}`
    return `${answer.renewed} of ${answer.of} serve a new certificate${pending}`
  })
}

function instanceFacts(one: Instance): string {
  return facts({
    instance: one.instance_id,
    service: one.service_name,
    state: one.state,
    connected: yesNo(one.connected),
    'last seen': localTime(one.last_seen),
    'in force': yesNo(one.in_force),
    'state held': one.state_generation,
    health: one.health,
    'latest serial': one.latest_serial,
    'serial served': one.served_serial,
    expires: localTime(one.expires_at),
    addresses: one.addresses.join(', ') || '-',
    version: one.version,
  })
}
