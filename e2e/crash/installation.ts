import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ApiClient, apiClient } from '@vcc/api'
import { type MemorySigner, memorySigner } from '@vcc/keys'
import { clientContext, jwsSigner, peerDispatcher, signEnvelope, unverifiedDispatcher } from '@vcc/mesh'
import { freePorts } from '@vcc/testkit'
import { buildCsr, type Certificate, decodeCertificate, ekuOid, encodePem } from '@vcc/x509'
import { succeeded } from '../harness/control.ts'
import { MATRIX_FILE, NODE, ROOT_FOLDER, VCC_CONTROL } from '../harness/paths.ts'
import { eventually, type Finished, type RunningProcess, run, start } from '../harness/process.ts'

const roots = new Map<string, Certificate>()
const OID_ARC = '1.3.6.1.4.1.55555'

/** Key and chain of somebody who calls. */
export interface Credentials {
  readonly keyPem: string
  readonly chainPem: string
}

/** A folder with data, secrets and configuration of one control plane. Copies share their CAs, and nothing else. */
export interface Installation {
  readonly folder: string
  readonly data: string
  readonly configFile: string
  readonly apiUrl: string
  readonly metricsUrl: string
  readonly admin: Credentials
  /** Where its processes live: what is put before each command, as for a mount namespace. */
  readonly inside: readonly string[]
}

/** Made and never started, so that it can be copied. */
export async function newInstallation(folder: string): Promise<Installation> {
  await mkdir(folder, { recursive: true })
  const data = join(folder, 'data')
  const addresses = await configure(folder, data, folder)
  const init = ['init', '--status-url', 'http://pki.vcc.internal', '--root-key', 'P-384']
  succeeded(await run(NODE, [VCC_CONTROL, ...init, '--config', addresses.configFile]))
  const adminPem = await readFile(join(data, 'admin.pem'), 'utf8')
  return { folder, data, ...addresses, admin: { keyPem: adminPem, chainPem: adminPem }, inside: [] }
}

/** The same with two services, a policy, and what `prepare` leaves; stopped again. */
export async function preparedInstallation(
  folder: string,
  prepare: (installation: Installation) => Promise<void>,
): Promise<Installation> {
  const installation = await newInstallation(folder)
  await using _ = await serving(installation)
  await call(installation, installation.admin, async (api) => {
    for (const service_name of ['argus', 'covina']) await api.call('serviceRegister', { body: { service_name } })
    const matrix = await readFile(MATRIX_FILE, 'utf8')
    await api.call('policyApply', { body: { matrix, expected_version: null, wait_seconds: 0 } })
  })
  await prepare(installation)
  return installation
}

/** A copy on ports of its own. */
export async function copyOf(original: Installation, folder: string): Promise<Installation> {
  const data = join(folder, 'data')
  await mkdir(folder, { recursive: true })
  await cp(original.data, data, { recursive: true })
  await cp(join(original.folder, 'secrets'), join(folder, 'secrets'), { recursive: true })
  return { ...original, folder, data, ...(await configure(folder, data, folder)) }
}

/** The same installation for a further process: on ports of its own, with its data under a name of its own. */
export async function alias(original: Installation, folder: string, data: string): Promise<Installation> {
  await mkdir(folder, { recursive: true })
  return { ...original, folder, data, ...(await configure(folder, data, original.folder)) }
}

async function configure(folder: string, data: string, secretsOf: string) {
  const [ui, agents, broker, metrics, open] = await freePorts(5)
  const on = (port: number | undefined) => `"127.0.0.1:${port}"`
  const lines = [
    `data: ${data}`,
    'secrets:',
    `  database_key_file: ${join(secretsOf, 'secrets', 'database.key')}`,
    `  key_store_key_file: ${join(secretsOf, 'secrets', 'key-store.key')}`,
    'listen:',
    `  { ui: ${on(ui)}, agents: ${on(agents)}, broker: ${on(broker)}, metrics: ${on(metrics)}, public: ${on(open)} }`,
    `advertise: { api: ["https://127.0.0.1:${agents}"], broker: ["mqtts://127.0.0.1:${broker}"] }`,
    'drain: 1s',
    '',
  ]
  const configFile = join(folder, 'vcc-control.yml')
  await writeFile(configFile, lines.join('\n'))
  return { configFile, apiUrl: `https://127.0.0.1:${agents}`, metricsUrl: `http://127.0.0.1:${metrics}` }
}

/** `vcc-control …` on it, to its end. */
export function vccControl(on: Installation, ...args: string[]): Promise<Finished> {
  return run(...within(on, [VCC_CONTROL, ...args, '--config', on.configFile]))
}

/** `vcc-control run`, as soon as it serves. */
export async function serving(on: Installation): Promise<RunningProcess> {
  const process = started(on, [VCC_CONTROL, 'run', '--config', on.configFile])
  await served(process)
  return process
}

export function started(
  on: Installation,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningProcess {
  const [command, more] = within(on, args)
  return start({ name: 'vcc-control', command, args: more, env, logFile: join(on.folder, 'vcc-control.log') })
}

/** Node with these arguments, where the processes of this installation live. */
function within({ inside }: Installation, args: readonly string[]): [command: string, args: readonly string[]] {
  const [command, ...more] = inside
  return command === undefined ? [NODE, args] : [command, [...more, NODE, ...args]]
}

export async function served(process: RunningProcess): Promise<void> {
  await eventually('vcc-control serves', () => {
    if (process.hasExited()) throw new Error(`vcc-control ended: ${process.output().slice(-4000)}`)
    return process.output().includes('"event":"service_ready"')
  })
}

/** The control plane with the ends that control-plane/src/testing/crash knows. */
export function doomed(on: Installation, moment: string, flow: string, microseconds = 0): RunningProcess {
  const main = join(ROOT_FOLDER, 'control-plane/src/testing/crash/main.ts')
  return started(on, [main, on.configFile, moment, flow, String(microseconds)])
}

/** One call, on a connection of its own: a process that was killed leaves none behind. */
export async function call<T>(
  on: Pick<Installation, 'apiUrl'>,
  who: Credentials | undefined,
  ask: (api: ApiClient) => Promise<T>,
): Promise<T> {
  const root = await rootOf(on.apiUrl)
  const dispatcher = peerDispatcher(clientContext(root, who), {
    root,
    id: 'spiffe://vcc.internal/control',
    eku: ekuOid(OID_ARC, 'api'),
    now: () => new Date(),
  })
  try {
    return await ask(apiClient({ baseUrl: on.apiUrl, dispatcher, timeoutMs: 30_000 }))
  } finally {
    await dispatcher.destroy()
  }
}

/** From whoever answers there: it is the test's own. */
async function rootOf(apiUrl: string): Promise<Certificate> {
  const known = roots.get(apiUrl)
  if (known !== undefined) return known
  const dispatcher = unverifiedDispatcher()
  try {
    const { root } = await apiClient({ baseUrl: apiUrl, dispatcher }).call('meshRoot', {})
    const certificate = decodeCertificate(Uint8Array.fromBase64(root))
    roots.set(apiUrl, certificate)
    return certificate
  } finally {
    await dispatcher.destroy()
  }
}

/** What an agent holds after its join, as far as it asks for certificates. */
export interface Joined extends Credentials {
  readonly instance: string
  readonly serialHex: string
  /** An envelope with this body, signed now. */
  readonly envelope: (kind: 'renew' | 're-enrol', csr: string) => Promise<string>
}

export async function newToken(on: Installation): Promise<string> {
  return (await call(on, on.admin, (api) => api.call('tokenCreate', { body: { service_name: 'argus' } }))).token
}

export function joinWith(on: Installation, token: string, csr: string) {
  const body = { token, csr, stateFormats: [1], addresses: ['127.0.0.1:9443'], version: '0.1.0' }
  return call(on, undefined, (api) => api.call('meshJoin', { body }))
}

export async function newInstance(on: Installation): Promise<Joined> {
  const key = await memorySigner('api', 'P-256')
  const { instance, chain } = await joinWith(on, await newToken(on), await csrOf(key))
  const chainDer = chain.map((one) => Uint8Array.fromBase64(one))
  const signer = jwsSigner(key, chainDer)
  let nonces = 0
  return {
    instance,
    serialHex: serialOf(chain),
    keyPem: key.privateKeyPem(),
    chainPem: chainDer.map((der) => encodePem('CERTIFICATE', der)).join(''),
    envelope: (kind, csr) => {
      const nonce = `${instance}${String(++nonces).padStart(16, 'n')}`
      const input = { kind, instance, nonce, correlation: nonce, body: { csr } }
      return signEnvelope<'renew' | 're-enrol'>(input, 60, signer, { now: new Date() })
    },
  }
}

export async function csrOf(key: MemorySigner): Promise<string> {
  return Buffer.from(await buildCsr(key)).toString('base64')
}

/** Of the first certificate of a chain in base64. */
export function serialOf(chain: readonly string[]): string {
  return decodeCertificate(Uint8Array.fromBase64(chain[0] ?? '')).serialHex
}
