import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Mesh, startMesh } from '../harness/mesh.ts'
import { ROOT_FOLDER } from '../harness/paths.ts'
import { printNext } from './next.ts'
import { failed, headline, say } from './report.ts'
import { allowedCalls } from './steps/allowed-calls.ts'
import { forbiddenCalls } from './steps/forbidden-calls.ts'
import { operatorView } from './steps/operator-view.ts'
import { outage } from './steps/outage.ts'
import { policyCut } from './steps/policy-cut.ts'
import { rotation } from './steps/rotation.ts'

/** Every service has a port for each other one it might want, allowed or not. */
const SERVICES = {
  argus: ['covina', 'clara', 'vpb', 'veritas'],
  covina: ['clara', 'veritas', 'argus'],
  clara: ['covina', 'argus'],
  veritas: ['covina', 'clara'],
  vpb: ['argus', 'covina', 'veritas'],
}

const STEPS: readonly (readonly [string, (mesh: Mesh) => Promise<void>])[] = [
  ['1  Allowed calls arrive over mutual TLS 1.3, and the callee learns who called', allowedCalls],
  ['2  Forbidden calls are refused, with the rule that refused them, on both sides', forbiddenCalls],
  ['3  Certificates rotate under load without one failed request', rotation],
  ['4  A policy change cuts a live connection', policyCut],
  ['5  vcc-control with its broker is killed and restarted while traffic flows', outage],
  ['6  What an operator sees', operatorView],
]

/** A folder below it for each run: two at once are none of each other's business. */
const FOLDER = join(ROOT_FOLDER, '.demo')
const isKept = process.argv.includes('--keep')
const keys = process.argv.includes('--hsm') ? 'softhsm' : 'software'

async function demo(folder: string): Promise<void> {
  headline('VCC-PKI: one control plane, five agents, five plain Python services')
  if (keys === 'softhsm') say('keys of roots, CAs and signers of state: in a SoftHSM token of its own, through PKCS#11')
  const control = { rootKey: 'RSA-4096', keys } as const
  await using mesh = await startMesh({ services: SERVICES, folder, progress: say, control })
  for (const [title, step] of STEPS) {
    headline(title)
    await step(mesh)
  }
  headline(`All ${STEPS.length} steps were seen.`)
  if (!isKept) return
  printNext(mesh)
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {}, 60_000)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.removeAllListeners(signal)
      process.once(signal, () => {
        clearInterval(timer)
        resolve()
      })
    }
  })
  headline(`Stopping. Keys, database and logs stay in ${folder} until "make clean".`)
}

await mkdir(FOLDER, { recursive: true })
const folder = await mkdtemp(`${FOLDER}/`)
try {
  await demo(folder)
  if (!isKept) await rm(folder, { recursive: true })
} catch (error) {
  failed(error instanceof Error ? error.message : String(error))
  if (error instanceof Error && error.cause instanceof Error) failed(`because: ${error.cause.message}`)
  say(`logs of all processes are in ${folder} until "make clean"`)
  process.exitCode = 1
}
