import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ApiClient, apiClient } from '@vcc/api'
import { memorySigner } from '@vcc/keys'
import {
  brokerAddress,
  clientContext,
  connectPeer,
  type ExpectedPeer,
  jwsSigner,
  peerDispatcher,
  unverifiedDispatcher,
} from '@vcc/mesh'
import { createLogger } from '@vcc/runtime'
import { buildCsr, decodeCertificate, ekuOid, encodePem } from '@vcc/x509'
import { MqttClient } from 'mqtt'
import { parseControlConfig } from '../config.ts'
import { init } from '../init/init.ts'
import { checkOptions } from '../init/options.ts'
import { pathsOf } from '../init/paths.ts'
import { controlEvents } from '../run/events.ts'
import { startControlPlane } from '../run/run.ts'
import { MATRIX } from './installation.ts'

/** Key and chain of somebody who calls. */
export interface Credentials {
  readonly keyPem: string
  readonly chainPem: string
}

/** A whole control plane in this process, on ports of its own, with two services and a policy. `more` is configuration. */
export async function testControlPlane(more: readonly string[] = []) {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-run-'))
  const config = parseControlConfig(
    [
      `data: ${folder}/data`,
      'secrets:',
      `  database_key_file: ${folder}/secrets/database.key`,
      `  key_store_key_file: ${folder}/secrets/key-store.key`,
      `listen: { ${['ui', 'agents', 'broker', 'public', 'metrics'].map((name) => `${name}: "127.0.0.1:0"`).join(', ')} }`,
      'drain: 1s',
      ...more,
    ].join('\n'),
  )
  const options = { statusUrl: 'http://pki.example.org', rootKey: 'P-384', outageBudgetMs: 72 * 3_600_000 }
  await init(checkOptions(options), config, { now: () => new Date(), progress: () => {} })
  const adminPem = await readFile(pathsOf(config.data).adminFile, 'utf8')
  const admin: Credentials = { keyPem: adminPem, chainPem: adminPem }

  const stop = new AbortController()
  const resources = new AsyncDisposableStack()
  const events = controlEvents(createLogger({ name: 'test', level: 'error' }))
  const ports = await startControlPlane(config, events, { signal: stop.signal, resources })
  const brokerPort = brokerAddress(ports.broker)?.port ?? 0

  const api = resources.use(clients(`https://127.0.0.1:${ports.agents}`))
  const root = await rootOf(api.unverified)
  const expected = (name: 'control' | 'broker'): ExpectedPeer => ({
    root,
    id: `spiffe://vcc.internal/${name}`,
    eku: ekuOid('1.3.6.1.4.1.55555', name === 'control' ? 'api' : 'broker'),
    now: () => new Date(),
  })
  const as = (who: Credentials | undefined) => api.client(who, expected('control'))
  const control = as(admin)
  for (const service_name of ['argus', 'covina']) await control.call('serviceRegister', { body: { service_name } })
  await control.call('policyApply', { body: { matrix: MATRIX, expected_version: null, wait_seconds: 0 } })

  return {
    config,
    ports,
    brokerPort,
    root,
    admin,
    as,
    /** What speaks HTTP as somebody, for requests that the typed client would not send. */
    dispatcherOf: (who: Credentials | undefined) => api.dispatcher(who, expected('control')),
    /** Joins an instance of a service. */
    async join(service: string) {
      const signer = await memorySigner('api', 'P-256')
      const { token } = await control.call('tokenCreate', { body: { service_name: service } })
      const csr = Buffer.from(await buildCsr(signer)).toString('base64')
      const body = { token, csr, stateFormats: [1], addresses: ['127.0.0.1:9443'], version: '0.1.0' }
      const { instance, chain } = await as(undefined).call('meshJoin', { body })
      const chainDer = chain.map((one) => Uint8Array.fromBase64(one))
      const chainPem = chainDer.map((der) => encodePem('CERTIFICATE', der)).join('')
      const certificate = decodeCertificate(chainDer[0] ?? new Uint8Array())
      const keyPem = signer.privateKeyPem()
      return { instance, keyPem, chainPem, certificate, jwsSigner: jwsSigner(signer, chainDer) }
    },
    /** An MQTT client that never reconnects. */
    mqtt(who: Credentials, clientId: string, settings: object = {}): MqttClient {
      const context = clientContext(root, who)
      const address = { host: '127.0.0.1', port: brokerPort }
      return new MqttClient(() => connectPeer(address, context, expected('broker')), {
        protocolVersion: 4,
        clientId,
        clean: true,
        keepalive: 30,
        reconnectPeriod: 0,
        connectTimeout: 5000,
        resubscribe: false,
        ...settings,
      })
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await resources.disposeAsync()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export type TestControlPlane = Awaited<ReturnType<typeof testControlPlane>>

async function rootOf(unverified: ApiClient) {
  return decodeCertificate(Uint8Array.fromBase64((await unverified.call('meshRoot', {})).root))
}

function clients(baseUrl: string) {
  const resources = new AsyncDisposableStack()
  const dispatcher = (who: Credentials | undefined, expected: ExpectedPeer) => {
    const made = peerDispatcher(clientContext(expected.root, who), expected)
    resources.defer(() => made.destroy())
    return made
  }
  const unverified = unverifiedDispatcher()
  resources.defer(() => unverified.destroy())
  return {
    dispatcher,
    client: (who: Credentials | undefined, expected: ExpectedPeer) =>
      apiClient({ baseUrl, dispatcher: dispatcher(who, expected) }),
    unverified: apiClient({ baseUrl, dispatcher: unverified }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}
