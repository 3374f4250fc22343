import { userInfo } from 'node:os'
import { join } from 'node:path'
import { brokerAddress } from '@vcc/mesh'
import { CliError, type Command, printResult, readKeyFile, withFormat, writeFileAtomic } from '@vcc/runtime'
import { encodePem } from '@vcc/x509'
import { authorityRows } from './authority/store.ts'
import { brokerFiles, openBrokerFolder } from './broker/files.ts'
import { mosquittoAcl, mosquittoConf } from './broker/mosquitto.ts'
import { type ControlConfig, configOption, readControlConfig } from './config.ts'
import { openForReading } from './database/open.ts'
import { pathsOf } from './init/paths.ts'

interface Flags {
  readonly config: string
  readonly format: 'text' | 'json'
  readonly at?: string
  readonly host?: string
  readonly user?: string
  readonly csr: boolean
}

/** `broker-config` */
export function addBrokerConfig(root: Command): void {
  withFormat(
    configOption(
      root
        .command('broker-config')
        .description('Write what Mosquitto needs to be the broker of this mesh. Also while the control plane runs.'),
    ),
  )
    .option('--at <folder>', "the files' folder on the broker's host, where it is another one")
    .option('--host <address>', 'the one address Mosquitto listens on (default: all)')
    .option('--user <name>', 'user that Mosquitto becomes when started as root (default: yours)')
    .option('--csr', 'Mosquitto has a key of its own (broker.key), certified by a request (broker.csr)', false)
    .addHelpText('after', HELP)
    .action(writeBrokerFiles)
}

const HELP = `
Needs in vcc-control.yml:
  broker:
    external:
      url: mqtts://broker.example.org:8883   # where the control plane finds it; agents too, unless advertise.broker differs
      folder: /var/lib/vcc-broker            # mode 0700

Writes mosquitto.conf, acl and mesh-root.pem into that folder. The certificate is not written here: vcc-control run
issues it at start, renews it every day (it lasts a week), and puts key and chain into broker.pem (0600) in one step.
Mosquitto reads it at SIGHUP; open connections stay.

On another host, or as another user, the key need not travel:
  broker$  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj / \\
               -keyout broker.key -out broker.csr
  Put broker.csr into the folder; within half a minute broker.crt lies beside it, and is renewed every day.
  Copy mosquitto.conf, acl, mesh-root.pem and, every day, broker.crt to the broker.

Examples:
  vcc-control broker-config
  vcc-control broker-config --csr --at /etc/mosquitto/vcc --user mosquitto`

async function writeBrokerFiles(flags: Flags): Promise<void> {
  const config = await readControlConfig(flags.config)
  const { url, folder } = externalOf(config)
  const files = brokerFiles(folder)
  const settings = {
    folder: flags.at ?? folder,
    port: brokerAddress(url)?.port ?? 0, // checked with the configuration
    host: flags.host,
    user: flags.user ?? userInfo().username,
    hasOwnKey: flags.csr,
  }
  const root = await meshRootPem(config)
  await openBrokerFolder(folder)
  await writeFileAtomic(files.root, root, { mode: 0o644 })
  await writeFileAtomic(files.acl, mosquittoAcl(), { mode: 0o644 })
  await writeFileAtomic(files.configuration, mosquittoConf(settings), { mode: 0o644 })
  const { configuration, acl } = files
  const result = {
    url,
    configuration,
    acl,
    root: files.root,
    certificate: flags.csr ? files.certificate : files.identity,
  }
  printResult(flags.format, 'BrokerFiles', result, () => nextSteps(folder, settings))
}

function externalOf({ broker }: ControlConfig): { readonly url: string; readonly folder: string } {
  if (broker.external !== undefined) return broker.external
  throw new CliError('usage', 'broker_embedded', 'the configuration names no external broker', {
    hint: 'set broker.external.url and broker.external.folder in it: vcc-control broker-config --help',
  })
}

/** Beside a running control plane, and without any key. */
async function meshRootPem({ data, secrets }: ControlConfig): Promise<string> {
  const key = await readKeyFile(secrets.database_key_file)
  await using database = openForReading({ path: pathsOf(data).database, key })
  const row = (await database.read(() => authorityRows())).find((one) => one.profile === 'mesh-root')
  if (row === undefined) throw new TypeError('an installation has a mesh root')
  return encodePem('CERTIFICATE', row.certificate_der)
}

function nextSteps(folder: string, settings: Parameters<typeof mosquittoConf>[0]): string {
  const conf = join(settings.folder, 'mosquitto.conf')
  const start = `mosquitto -c ${conf}`
  const own = [
    `certificate      ${folder}/broker.pem, by vcc-control run at its start and every day`,
    `next             vcc-control run`,
    `then             ${start}    (as user ${settings.user}, who has to own the files)`,
    'every day        kill -HUP of mosquitto, so that it shows the new certificate; connections stay',
  ]
  const byRequest = [
    `certificate      ${folder}/broker.crt, for the request that you put there as broker.csr`,
    `next             vcc-control run, and copy mosquitto.conf, acl, mesh-root.pem and broker.crt to ${settings.folder}`,
    `then             ${start}    (as user ${settings.user}; broker.key is beside them)`,
    'every day        copy broker.crt and kill -HUP mosquitto, so that it shows the new certificate; connections stay',
  ]
  return [
    `written          ${folder}: mosquitto.conf, acl, mesh-root.pem`,
    ...(settings.hasOwnKey ? byRequest : own),
  ].join('\n')
}
