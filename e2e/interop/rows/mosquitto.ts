import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { testPki } from '@vcc/testkit'
import { DEFAULT_OID_ARC, ekuOid, OID } from '@vcc/x509'
import { openIssuers } from '../../harness/issuers.ts'
import { freePorts } from '../../harness/ports.ts'
import { eventually, type Finished, run, start } from '../../harness/process.ts'
import { type Check, type Outcome, outcomeOf, refusalOf } from '../check.ts'
import { instanceOf, type Material, writeCredential } from '../material.ts'

export const MOSQUITTO: readonly Check[] = [
  {
    tool: 'mosquitto',
    check: 'as broker with our certificates',
    async *run({ path }, material) {
      for (const mesh of material.meshes) yield* throughBroker(path, mesh, material)
    },
  },
]

/** Debian's clients cannot be told another name than the one they dial, which our broker's certificate does not have. */
const NAME_UNCHECKED = '--insecure'

async function* throughBroker(
  path: string,
  { rootKey, control, agent }: Material['meshes'][number],
  { folder: top, subjects }: Material,
): AsyncGenerator<Outcome> {
  const folder = join(top, rootKey, 'mosquitto')
  await mkdir(folder, { recursive: true })
  const rootFile = subjects.find(({ name }) => name === `${rootKey} mesh-root`)?.certFile ?? ''
  const { control: controlCa } = await openIssuers(control)
  const leaf = await controlCa.leaf({
    commonName: 'broker',
    uris: ['spiffe://vcc.internal/broker'],
    dnsNames: ['broker.vcc.internal'],
    extKeyUsage: [OID.serverAuth, ekuOid(DEFAULT_OID_ARC, 'broker')],
  })
  const own = await writeCredential(folder, 'broker', leaf)
  const [port = 0] = await freePorts(1)
  const instance = await instanceOf(agent)
  const topic = `vcc/v1/${instance}/up/status`
  await writeFile(join(folder, 'acl'), `user ${instance}\ntopic readwrite ${topic}\n`, { mode: 0o600 })
  await writeFile(
    join(folder, 'mosquitto.conf'),
    [
      `listener ${port} 127.0.0.1`,
      'user root',
      'persistence false',
      'log_dest stderr',
      `cafile ${rootFile}`,
      `certfile ${own.certFile}`,
      `keyfile ${own.keyFile}`,
      'tls_version tlsv1.3',
      'require_certificate true',
      'use_identity_as_username true',
      `acl_file ${join(folder, 'acl')}`,
      '',
    ].join('\n'),
  )
  await using broker = start({
    name: 'mosquitto',
    command: path,
    args: ['-c', join(folder, 'mosquitto.conf')],
    logFile: join(folder, 'mosquitto.log'),
  })
  await eventually('mosquitto listens', () => {
    if (broker.hasExited()) throw new Error(broker.output())
    return broker.output().includes('listen socket on port')
  })
  const identity = join(agent.stateFolder, 'identity.pem')
  const to = ['-h', '127.0.0.1', '-p', String(port), '--cafile', rootFile, NAME_UNCHECKED, '-t', topic, '-q', '1']
  const shown = (file: string, key = file) => ['--cert', file, '--key', key]
  let got: Finished | undefined
  const subscribed = run('mosquitto_sub', [...to, ...shown(identity), '-C', '1', '-W', '60'], { timeoutMs: 90_000 })
  void subscribed.then((finished) => (got = finished))
  const heard = await eventually('a message passes, or is refused', async () => {
    const sent = await run('mosquitto_pub', [...to, ...shown(identity), '-m', 'hello'])
    return sent.code === 0 ? got : sent
  })
  yield outcomeOf(`${rootKey} an agent's certificate publishes and subscribes`, heard, 'hello')

  const foreign = await writeCredential(folder, 'foreign', testPki().service('argus'))
  const refused: readonly (readonly [string, readonly string[]])[] = [
    ['without a certificate', []],
    ['a certificate of another root', shown(foreign.certFile, foreign.keyFile)],
  ]
  for (const [what, credentials] of refused) {
    const sent = await run('mosquitto_pub', [...to, ...credentials, '-m', 'hello'])
    yield refusalOf(`${rootKey} ${what} is refused`, sent)
  }
}
