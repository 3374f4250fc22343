import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts, type SoftHsmToken, softHsmToken } from '@vcc/testkit'
import { KEYS_OF_RUN, ownKeys } from './keys.ts'
import { BROKER_OF_RUN, type ExternalBroker, mosquitto } from './mosquitto.ts'
import { NODE, VCC_CONTROL, VCC_PKI } from './paths.ts'
import { eventually, type Finished, type RunningProcess, run, start } from './process.ts'

export interface Ports {
  readonly ui: number
  readonly agents: number
  readonly broker: number
  readonly metrics: number
  /** Plain HTTP for verifiers. */
  readonly public: number
}

export interface ControlPlane extends AsyncDisposable {
  readonly folder: string
  readonly configFile: string
  readonly ports: Ports
  readonly fingerprint: string
  readonly adminFile: string
  readonly process: () => RunningProcess
  /** Where the keys of its CAs are, if not in files. */
  readonly token: SoftHsmToken | undefined
  /** Those keys, as whoever owns the machine has them. */
  readonly keys: () => ReturnType<typeof ownKeys>
  /** Stops it, and the broker with it where that is another process. */
  readonly switchOff: () => Promise<void>
  /** Starts it again on the same data, after a stop or a kill; its broker too, if that does not run. */
  readonly restart: () => Promise<void>
  /** `vcc-control …` on this installation. */
  readonly control: (...args: string[]) => Promise<Finished>
  /** `vcc-pki …` as the first admin. */
  readonly pki: (...args: string[]) => Promise<Finished>
  /** `vcc-pki … --format json`; throws with both streams when it fails. */
  readonly pkiJson: (...args: string[]) => Promise<Record<string, unknown>>
}

export interface ControlOptions {
  /** Where agents are told to find it: the test's own relays, for instance. */
  readonly advertise?: { readonly api: string; readonly broker: string }
  /** Where it listens; free ports otherwise. */
  readonly ports?: Omit<Ports, 'public'>
  /** Which broker; that of the run (`VCC_E2E_BROKER`) otherwise. An external one runs as long as the control plane. */
  readonly broker?: ExternalBroker | 'embedded'
  /** Where keys of CAs and state are; as the run has it (`VCC_E2E_KEYS`) otherwise. */
  readonly keys?: 'software' | 'softhsm'
  readonly rootKey?: 'P-384' | 'RSA-4096'
  readonly initArgs?: readonly string[]
}

/** A real control plane: `init`, `run`, and `vcc-pki` configured as its admin. */
export async function startControlPlane(folder: string, options: ControlOptions = {}): Promise<ControlPlane> {
  await mkdir(folder, { recursive: true })
  const [freeUi = 0, freeAgents = 0, freeBroker = 0, freeMetrics = 0, publicPort = 0] = await freePorts(5)
  const { ui, agents, broker, metrics } = options.ports ?? {
    ui: freeUi,
    agents: freeAgents,
    broker: freeBroker,
    metrics: freeMetrics,
  }
  const configFile = join(folder, 'vcc-control.yml')
  const data = join(folder, 'data')
  const chosen = options.broker ?? (BROKER_OF_RUN === 'mosquitto' ? mosquitto() : 'embedded')
  const external = chosen === 'embedded' ? undefined : chosen
  const brokerFolder = join(folder, 'broker')
  const inToken = (options.keys ?? KEYS_OF_RUN) === 'softhsm'
  const token = inToken ? await softHsmToken(join(folder, 'softhsm')) : undefined
  const advertise = options.advertise ?? { api: `https://127.0.0.1:${agents}`, broker: `mqtts://127.0.0.1:${broker}` }
  await writeFile(
    configFile,
    [
      `data: ${data}`,
      'secrets:',
      `  database_key_file: ${join(folder, 'secrets', 'database.key')}`,
      `  key_store_key_file: ${join(folder, 'secrets', 'key-store.key')}`,
      'listen:',
      `  ui: 127.0.0.1:${ui}`,
      `  agents: 127.0.0.1:${agents}`,
      `  broker: 127.0.0.1:${broker}`,
      `  metrics: 127.0.0.1:${metrics}`,
      `  public: 127.0.0.1:${publicPort}`,
      'advertise:',
      `  api: ["${advertise.api}"]`,
      `  broker: ["${advertise.broker}"]`,
      ...(external === undefined
        ? []
        : ['broker:', `  external: { url: "mqtts://127.0.0.1:${broker}", folder: "${brokerFolder}" }`]),
      ...(token?.config ?? []),
      '',
    ].join('\n'),
  )
  const control = (...args: string[]) => run(NODE, [VCC_CONTROL, ...args, '--config', configFile])
  const initArgs = [
    '--status-url',
    `http://127.0.0.1:${publicPort}`,
    '--root-key',
    options.rootKey ?? 'P-384',
    ...(options.initArgs ?? []),
  ]
  succeeded(await control('init', ...initArgs))
  const env = { VCC_PKI_CONFIG: join(folder, 'pki.json') }
  const pki = (...args: string[]) => run(NODE, [VCC_PKI, ...args], { env })
  const logFile = join(folder, 'vcc-control.log')
  const startProcess = () =>
    start({ name: 'vcc-control', command: NODE, args: [VCC_CONTROL, 'run', '--config', configFile], logFile })
  let process = startProcess()
  const startBroker = async () => {
    if (external === undefined || external.isRunning()) return
    await external.start({ folder: brokerFolder, port: broker, control, certified })
  }
  const logged = (event: string) => {
    if (process.hasExited()) throw new Error(`vcc-control ended: ${process.output()}`)
    return process.output().includes(`"event":"${event}"`)
  }
  const certified = async () =>
    void (await eventually('the broker has its certificate', () => logged('broker_certificate_written')))
  const ready = async () => {
    await startBroker()
    await eventually('vcc-control serves', () => logged('service_ready') && logged('broker_connected'))
  }
  await ready()
  const fingerprint = succeeded(await control('fingerprint')).stdout.trim()
  const adminFile = join(data, 'admin.pem')
  succeeded(
    await pki(
      'configure',
      '--api-url',
      `https://127.0.0.1:${agents}`,
      '--client-cert',
      adminFile,
      '--fingerprint',
      fingerprint,
    ),
  )
  const owned = new AsyncDisposableStack()
  return {
    folder,
    configFile,
    token,
    keys: async () => owned.use(await ownKeys(folder, token)),
    ports: { ui, agents, broker, metrics, public: publicPort },
    fingerprint,
    adminFile,
    process: () => process,
    async switchOff() {
      await process.stop()
      await external?.stop()
    },
    async restart() {
      await process.stop()
      process = startProcess()
      await ready()
    },
    control,
    pki,
    pkiJson: async (...args) =>
      JSON.parse(succeeded(await pki(...args, '--format', 'json')).stdout) as Record<string, unknown>,
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync()
      await process.stop()
      await external?.stop()
    },
  }
}

/** What a command printed, or an error that shows all of it. */
export function succeeded(finished: Finished): Finished {
  if (finished.code === 0) return finished
  throw new Error(`exit ${finished.code}\n${finished.stdout}\n${finished.stderr}`)
}
