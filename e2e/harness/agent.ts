import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '@vcc/testkit'
import type { ControlPlane } from './control.ts'
import { succeeded } from './control.ts'
import { NODE, VCC_AGENT } from './paths.ts'
import { eventually, type Finished, type RunningProcess, run, start } from './process.ts'

export interface AgentOptions {
  readonly service: string
  /** Where the plain service listens. */
  readonly targetPort: number
  /** Upstreams by name; each gets a port of 127.0.0.1. */
  readonly outbound: readonly string[]
  /** Lines added to its configuration file. */
  readonly extra?: readonly string[]
  /** Where it finds the control plane; another address than the real one goes through a test's relay. */
  readonly controlUrl?: string
  /** A command that becomes the agent, such as `prlimit --nofile=64`; it stands before the agent's own. */
  readonly startedBy?: readonly string[]
}

export interface MeshAgent extends AsyncDisposable {
  readonly service: string
  readonly folder: string
  readonly configFile: string
  readonly stateFolder: string
  readonly inboundPort: number
  readonly healthPort: number
  readonly metricsPort: number
  /** URL under which the service beside it reaches an upstream. */
  readonly url: (upstream: string) => string
  readonly port: (upstream: string) => number
  readonly process: () => RunningProcess
  readonly isReady: () => Promise<boolean>
  readonly ready: () => Promise<void>
  readonly restart: () => Promise<void>
  /** Starts it again, and waits for nothing. */
  readonly begin: () => Promise<void>
  /** `vcc-agent …` with this agent's configuration. */
  readonly cli: (...args: string[]) => Promise<Finished>
  readonly status: () => Promise<Record<string, unknown>>
  /** Prometheus text. */
  readonly metrics: () => Promise<string>
}

/** A configured agent folder, joined with a fresh token; not running yet. */
export async function joinAgent(control: ControlPlane, folder: string, options: AgentOptions): Promise<MeshAgent> {
  await mkdir(folder, { recursive: true })
  const [inboundPort = 0, healthPort = 0, metricsPort = 0, ...outboundPorts] = await freePorts(
    3 + options.outbound.length,
  )
  const ports = new Map(options.outbound.map((name, index) => [name, outboundPorts[index] ?? 0]))
  const configFile = join(folder, 'vcc-agent.yml')
  const stateFolder = join(folder, 'state')
  const controlUrl = options.controlUrl ?? `https://127.0.0.1:${control.ports.agents}`
  await writeFile(
    configFile,
    [
      `service: ${options.service}`,
      `state: ${stateFolder}`,
      `control: ${controlUrl}`,
      'inbound:',
      `  listen: 127.0.0.1:${inboundPort}`,
      `  target: 127.0.0.1:${options.targetPort}`,
      ...(ports.size === 0 ? [] : ['outbound:']),
      ...[...ports].map(([name, port]) => `  ${name}: 127.0.0.1:${port}`),
      `metrics: 127.0.0.1:${metricsPort}`,
      `health: 127.0.0.1:${healthPort}`,
      'health_check: /health',
      ...(options.extra ?? []),
      '',
    ].join('\n'),
  )
  const tokenFile = join(folder, 'join.token')
  succeeded(await control.pki('tokens', 'create', options.service, '--output', tokenFile))
  const cli = (...args: string[]) => run(NODE, [VCC_AGENT, ...args, '--config', configFile])
  succeeded(await cli('join', '--fingerprint', control.fingerprint, '--token-file', tokenFile))

  const [command, ...args] = [...(options.startedBy ?? []), NODE]
  const begin = () =>
    start({
      name: `vcc-agent ${options.service}`,
      command,
      args: [...args, VCC_AGENT, 'run', '--config', configFile],
      logFile: join(folder, 'vcc-agent.log'),
    })
  let process: RunningProcess | undefined
  const running = () => {
    if (process === undefined) throw new Error(`the agent of ${options.service} was not started`)
    return process
  }
  const isReady = async () => (await fetch(`http://127.0.0.1:${healthPort}/ready`)).status === 200
  const ready = async () => {
    await eventually(`the agent of ${options.service} is ready`, () => {
      if (running().hasExited()) throw new Error(`it ended: ${running().output().slice(-4000)}`)
      return isReady()
    })
  }
  const port = (upstream: string) => {
    const found = ports.get(upstream)
    if (found === undefined) throw new Error(`${options.service} has no upstream ${upstream}`)
    return found
  }
  return {
    service: options.service,
    folder,
    configFile,
    stateFolder,
    inboundPort,
    healthPort,
    metricsPort,
    url: (upstream) => `http://127.0.0.1:${port(upstream)}`,
    port,
    process: running,
    isReady,
    ready,
    async restart() {
      await process?.stop()
      process = begin()
      await ready()
    },
    async begin() {
      await process?.stop()
      process = begin()
    },
    cli,
    status: async () =>
      JSON.parse(succeeded(await cli('status', '--format', 'json')).stdout) as Record<string, unknown>,
    metrics: async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text(),
    async [Symbol.asyncDispose]() {
      await process?.stop()
    },
  }
}
