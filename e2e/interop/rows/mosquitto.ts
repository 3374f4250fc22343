import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { instanceTopics } from '@vcc/mesh'
import { testPki } from '@vcc/testkit'
import { run } from '../../harness/process.ts'
import { type Check, type Outcome, outcomeOf, refusalOf } from '../check.ts'
import { instanceOf, type Material } from '../material.ts'

export const MOSQUITTO: readonly Check[] = [
  {
    tool: 'mosquitto',
    check: 'as broker, on what broker-config wrote',
    async *run(_tool, material) {
      for (const mesh of material.meshes) yield* throughBroker(mesh, material)
    },
  },
]

/** Debian's clients cannot be told another name than the one they dial, which our broker's certificate does not have. */
const NAME_UNCHECKED = '--insecure'

/** The control plane of this mesh is connected already: it would not have started otherwise. */
async function* throughBroker(
  { rootKey, control, agent }: Material['meshes'][number],
  { folder, subjects }: Material,
): AsyncGenerator<Outcome> {
  const root = subjects.find(({ name }) => name === `${rootKey} mesh-root`)?.certFile ?? ''
  const identity = join(agent.stateFolder, 'identity.pem')
  const instance = await instanceOf(agent)
  const { up, down } = instanceTopics(instance)
  const to = ['-h', '127.0.0.1', '-p', String(control.ports.broker), '--cafile', root, NAME_UNCHECKED, '-q', '1']
  const own = ['-i', instance, '--cert', identity, '--key', identity]
  const subscribed = await run('mosquitto_sub', [...to, ...own, '-t', down.state, '-C', '1', '-W', '60'], {
    timeoutMs: 90_000,
  })
  yield outcomeOf(`${rootKey} an agent's certificate gets its signed state`, subscribed, /^eyJ/)
  const publish = ['-t', up.status, '-m', 'hello']
  yield outcomeOf(
    `${rootKey} an agent's certificate may publish`,
    await run('mosquitto_pub', [...to, ...own, ...publish]),
  )

  const foreign = testPki().service('argus', { instance })
  const file = join(folder, rootKey, 'foreign.pem')
  await writeFile(file, foreign.chainPem + foreign.keyPem, { mode: 0o600 })
  const refused: readonly (readonly [string, readonly string[]])[] = [
    ['no certificate', []],
    ['a certificate of another root', ['--cert', file, '--key', file]],
  ]
  for (const [what, credentials] of refused) {
    const sent = await run('mosquitto_pub', [...to, '-i', instance, ...credentials, ...publish])
    yield refusalOf(`${rootKey} ${what} is refused`, sent)
  }
}
