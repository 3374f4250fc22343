import { join } from 'node:path'
import { type Finished, type RunningProcess, run, start } from './process.ts'

/** An external broker of a control plane. */
export interface ExternalBroker {
  /** Starts it, on the files that the control plane wrote for it. */
  readonly start: (at: BrokerPlace) => Promise<void>
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>
  readonly isRunning: () => boolean
}

export interface BrokerPlace {
  readonly folder: string
  readonly port: number
  /** `vcc-control …` on the installation. */
  readonly control: (...args: string[]) => Promise<Finished>
  /** Resolves when the certificate of the broker is in the folder. */
  readonly certified: () => Promise<void>
}

/** Debian's; its folder is in nobody's path but root's. */
const MOSQUITTO = '/usr/sbin/mosquitto'

export interface Mosquitto extends ExternalBroker {
  readonly process: () => RunningProcess
}

/** A real Mosquitto, with the files of `vcc-control broker-config` and nothing else; with a key of ours, or its own. */
export function mosquitto(options: { readonly hasOwnKey?: boolean } = {}): Mosquitto {
  const hasOwnKey = options.hasOwnKey ?? false
  let running: RunningProcess | undefined
  const process = () => {
    if (running === undefined) throw new Error('mosquitto was not started')
    return running
  }
  return {
    process,
    isRunning: () => running?.hasExited() === false,
    async start({ folder, control, certified }) {
      const written = await control('broker-config', '--host', '127.0.0.1', ...(hasOwnKey ? ['--csr'] : []))
      if (written.code !== 0) throw new Error(`broker-config: ${written.stdout}${written.stderr}`)
      if (hasOwnKey) await makeRequest(folder)
      await certified()
      running = start({
        name: 'mosquitto',
        command: MOSQUITTO,
        args: ['-c', join(folder, 'mosquitto.conf')],
        logFile: join(folder, 'mosquitto.log'),
      })
    },
    async stop(signal) {
      await running?.stop(signal)
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

/** Which broker this run of the suite is on: `VCC_E2E_BROKER`, or the embedded one. */
export const BROKER_OF_RUN: 'embedded' | 'mosquitto' = brokerName(process.env['VCC_E2E_BROKER'] ?? '')

function brokerName(wanted: string): 'embedded' | 'mosquitto' {
  if (wanted === '' || wanted === 'embedded') return 'embedded'
  if (wanted === 'mosquitto') return wanted
  throw new Error(`VCC_E2E_BROKER=${wanted} is no broker; known are embedded and mosquitto`)
}
