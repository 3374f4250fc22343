import type { RouteInput, Service, ServiceHealth } from '@vcc/api'
import {
  CliError,
  type Command,
  confirm,
  type Format,
  formatTable,
  Option,
  printResult,
  readFileBounded,
  withFormat,
} from '@vcc/runtime'
import { connection } from './connection.ts'
import { facts, localTime, yesNo } from './words.ts'

interface RegisterFlags {
  readonly mode?: 'http' | 'tcp'
  readonly type?: Service['service_type']
  readonly external?: boolean
  readonly address?: string
  readonly trust?: string
  readonly endpointUrl?: string
  readonly healthEndpoint?: string
  readonly allowedNetwork?: readonly string[]
  readonly format: Format
}

/** `services …` and `health-overview`. */
export function addServices(root: Command): void {
  const services = root.command('services').description('The services of the mesh.')
  withFormat(services.command('list').description('Registered services.')).action(
    async ({ format }: { format: Format }) => {
      await using api = await connection()
      const items: Service[] = []
      let after: string | null = null
      do {
        const page: { items: Service[]; next: string | null } = await api.call('serviceList', {
          query: after === null ? { limit: 500 } : { limit: 500, after },
        })
        items.push(...page.items)
        after = page.next
      } while (after !== null)
      printResult(format, 'ServiceList', { items }, () =>
        formatTable(
          [
            { header: 'SERVICE', text: (one: Service) => one.service_name },
            { header: 'MODE', text: (one) => (one.kind === 'external' ? `${one.mode}, external` : one.mode) },
            { header: 'CLASS', text: (one) => one.class ?? '-' },
            { header: 'STATUS', text: (one) => one.status },
            { header: 'INSTANCES', text: (one) => `${one.instances_seen}/${one.instances}` },
            { header: 'LAST SEEN', text: (one) => localTime(one.last_seen) },
          ],
          items,
        ),
      )
    },
  )
  withFormat(services.command('show <name>').description('One service.')).action(
    async (name: string, { format }: { format: Format }) => {
      await using api = await connection()
      printResult(format, 'Service', await api.call('serviceShow', { params: { service_id: name } }), serviceFacts)
    },
  )
  withFormat(services.command('register <name>').description('Register a service, so that an agent can join for it.'))
    .addOption(
      new Option('--mode <mode>', 'http: one decision per request; tcp: any protocol, one per connection').choices([
        'http',
        'tcp',
      ]),
    )
    .addOption(
      new Option('--type <type>', 'kind of service').choices([
        'api',
        'orchestrator',
        'processor',
        'ui',
        'database',
        'edge',
      ]),
    )
    .option('--endpoint-url <url>', 'under which callers know it; never dialled')
    .option('--health-endpoint <path>', 'path of its health answer')
    .option('--allowed-network <cidr...>', 'networks its instances may advertise addresses in')
    .option('--external', 'it has no agent: decided on the callers’ side only')
    .option('--address <host:port>', 'where an external service listens')
    .option(
      '--trust <how>',
      'how an external service proves itself: ca:FILE:dns-name, pin:SPKI-SHA256, or plain on loopback',
    )
    .addHelpText(
      'after',
      `
Examples:
  vcc-pki services register argus
  vcc-pki services register covina --mode tcp --allowed-network 10.20.0.0/16
  vcc-pki services register covina-database --external --address 127.0.0.1:5432 --trust plain`,
    )
    .action(register)
  withFormat(
    services
      .command('deregister <name>')
      .description('Nobody may call it any more, nor it anybody; its instances get neither certificates nor state.'),
  )
    .option('-y, --yes', 'do not ask')
    .action(deregister)
  withFormat(services.command('health [name]').description('Health as the agents report it.')).action(health)
  withFormat(root.command('health-overview').description('Health of all services.')).action(
    (flags: { format: Format }) => health(undefined, flags),
  )
}

async function register(name: string, flags: RegisterFlags): Promise<void> {
  const trust = flags.trust === undefined ? undefined : await trustOf(flags.trust)
  const body: RouteInput<'serviceRegister'>['body'] = {
    service_name: name,
    ...(flags.mode === undefined ? {} : { mode: flags.mode }),
    ...(flags.type === undefined ? {} : { service_type: flags.type }),
    ...(flags.endpointUrl === undefined ? {} : { endpoint_url: flags.endpointUrl }),
    ...(flags.healthEndpoint === undefined ? {} : { health_endpoint: flags.healthEndpoint }),
    ...(flags.allowedNetwork === undefined ? {} : { allowed_networks: [...flags.allowedNetwork] }),
    ...(flags.external === true ? { kind: 'external' as const } : {}),
    ...(flags.address === undefined ? {} : { address: flags.address }),
    ...(trust === undefined ? {} : { trust }),
  }
  await using api = await connection()
  const service = await api.call('serviceRegister', { body })
  const next =
    service.kind === 'mesh'
      ? `\nnext: vcc-pki tokens create ${service.service_name} --output ${service.service_name}.token`
      : ''
  printResult(
    flags.format,
    'Service',
    service,
    () => `registered ${service.service_name} as ${service.spiffe_id}${next}`,
  )
}

type Trust = NonNullable<RouteInput<'serviceRegister'>['body']['trust']>

async function trustOf(text: string): Promise<Trust> {
  if (text === 'plain') return { kind: 'plain' }
  const [, kind, rest = ''] = /^(pin|ca):(.+)$/.exec(text) ?? []
  if (kind === 'pin') return { kind: 'pin', spkiSha256: rest.toLowerCase() }
  const colon = rest.lastIndexOf(':')
  if (kind === 'ca' && colon > 0) {
    return {
      kind: 'ca',
      caPem: (await readFileBounded(rest.slice(0, colon), 65_536)).toString('utf8'),
      dnsName: rest.slice(colon + 1),
    }
  }
  throw new CliError(
    'usage',
    'option_invalid',
    `--trust takes ca:FILE:dns-name, pin:SPKI-SHA256 or plain, not "${text}"`,
  )
}

async function deregister(name: string, flags: { yes?: boolean; format: Format }): Promise<void> {
  await confirm({ question: `Deregister ${name} and all its instances?`, expect: name, yes: flags.yes === true })
  await using api = await connection()
  await api.call('serviceDeregister', { params: { service_id: name } })
  printResult(flags.format, 'Deregistered', { service: name }, () => `deregistered ${name}`)
}

async function health(name: string | undefined, { format }: { format: Format }): Promise<void> {
  await using api = await connection()
  const items =
    name === undefined
      ? (await api.call('healthOverview', {})).items
      : [await api.call('serviceHealth', { params: { service_id: name } })]
  printResult(format, 'HealthOverview', { items }, () =>
    formatTable(
      [
        { header: 'SERVICE', text: (one: ServiceHealth) => one.service_name },
        { header: 'HEALTHY', text: (one) => yesNo(one.healthy) },
        { header: 'VALID CERT', text: (one) => yesNo(one.has_valid_cert) },
        {
          header: 'INSTANCES',
          text: (one) =>
            one.instances.map(({ instance_id, health: state }) => `${instance_id} ${state}`).join(', ') || '-',
        },
      ],
      items,
    ),
  )
}

function serviceFacts(one: Service): string {
  return facts({
    service: one.service_name,
    id: one.spiffe_id,
    'service id': one.service_id,
    type: one.service_type,
    kind: one.kind,
    mode: one.mode,
    class: one.class ?? 'none: no entry in the policy in force',
    status: one.status,
    'valid cert': yesNo(one.has_valid_cert),
    instances: `${one.instances}, ${one.instances_seen} seen lately`,
    networks: one.allowed_networks.join(', ') || 'any',
    address: one.address,
    registered: localTime(one.created_at),
    'last seen': localTime(one.last_seen),
  })
}
