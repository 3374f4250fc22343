import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { eventually, type Finished, type RunningProcess, run, start } from './process.ts'

/** Starts an external broker on the files that the control plane wrote for it. */
export type BrokerStarter = (at: {
  readonly folder: string
  readonly port: number
  /** `vcc-control …` on the installation. */
  readonly control: (...args: string[]) => Promise<Finished>
}) => Promise<AsyncDisposable>

export interface Mosquitto {
  readonly start: BrokerStarter
  readonly process: () => RunningProcess
  readonly folder: () => string
  /** A process of its own, on the same files, after `stop`. */
  readonly startAgain: () => void
}

/** Debian's; its folder is in nobody's path but root's. */
const MOSQUITTO = '/usr/sbin/mosquitto'

/** A real Mosquitto, with the files of `vcc-control broker-config` and nothing else; with a key of ours, or its own. */
export function mosquitto(options: { readonly hasOwnKey?: boolean } = {}): Mosquitto {
  const hasOwnKey = options.hasOwnKey ?? false
  let running: RunningProcess | undefined
  let folder = ''
  const begin = () => {
    running = start({
      name: 'mosquitto',
      command: MOSQUITTO,
      args: ['-c', join(folder, 'mosquitto.conf')],
      logFile: join(folder, 'mosquitto.log'),
    })
  }
  const process = () => {
    if (running === undefined) throw new Error('mosquitto was not started')
    return running
  }
  return {
    process,
    folder: () => folder,
    startAgain: begin,
    async start(at) {
      folder = at.folder
      const written = await at.control('broker-config', '--host', '127.0.0.1', ...(hasOwnKey ? ['--csr'] : []))
      if (written.code !== 0) throw new Error(`broker-config: ${written.stdout}${written.stderr}`)
      if (hasOwnKey) await makeRequest(folder)
      const certificate = join(folder, hasOwnKey ? 'broker.crt' : 'broker.pem')
      await eventually('the broker has its certificate', () => existsSync(certificate))
      begin()
      return { [Symbol.asyncDispose]: async () => void (await process().stop()) }
    },
  }
}

/** As `vcc-control broker-config --help` says. */
async function makeRequest(folder: string): Promise<void> {
  const args = ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/']
  const files = ['-keyout', join(folder, 'broker.key'), '-out', join(folder, 'broker.csr')]
  const made = await run('openssl', [...args, ...files])
  if (made.code !== 0) throw new Error(made.stderr)
}

/** The broker of a whole run of the suite: `VCC_E2E_BROKER=mosquitto`, or the embedded one. */
export function brokerOfRun(): BrokerStarter | 'embedded' {
  const wanted = process.env['VCC_E2E_BROKER'] ?? ''
  if (wanted === '' || wanted === 'embedded') return 'embedded'
  if (wanted === 'mosquitto') return mosquitto().start
  throw new Error(`VCC_E2E_BROKER=${wanted} is no broker; known are embedded and mosquitto`)
}
