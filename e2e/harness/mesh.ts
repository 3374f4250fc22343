import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { joinAgent, type MeshAgent } from './agent.ts'
import { type ControlOptions, type ControlPlane, startControlPlane, succeeded } from './control.ts'
import { MATRIX_FILE } from './paths.ts'
import { type PlainService, startService } from './service.ts'

export interface MeshOptions {
  /** Services and whom each has a port for; allowed or not. */
  readonly services: Readonly<Record<string, readonly string[]>>
  readonly modes?: Readonly<Record<string, 'http' | 'tcp'>>
  readonly matrixFile?: string
  readonly control?: ControlOptions
  readonly controlUrl?: string
  /** Said as things come up. */
  readonly progress?: (what: string) => void
  readonly folder?: string
}

export interface Mesh extends AsyncDisposable {
  readonly folder: string
  readonly control: ControlPlane
  readonly service: (name: string) => PlainService
  readonly agent: (name: string) => MeshAgent
}

/** A whole mesh of real processes: control plane, and for each service a Python process with an agent beside it. */
export async function startMesh(options: MeshOptions): Promise<Mesh> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'vcc-mesh-')))
  await mkdir(folder, { recursive: true })
  const stack = new AsyncDisposableStack()
  try {
    const say = options.progress ?? (() => {})
    say('control plane: init and run')
    const control = stack.use(await startControlPlane(join(folder, 'control'), options.control))
    const names = Object.keys(options.services)
    for (const name of names) {
      succeeded(await control.pki('services', 'register', name, '--mode', options.modes?.[name] ?? 'http'))
    }
    say('policy: vcc-pki policy apply')
    succeeded(await control.pki('policy', 'apply', options.matrixFile ?? MATRIX_FILE, '--yes'))
    const services = new Map<string, PlainService>()
    const agents = new Map<string, MeshAgent>()
    for (const name of names) {
      say(`${name}: service, join and agent`)
      const service = stack.use(await startService(name, folder))
      services.set(name, service)
      const agent = stack.use(
        await joinAgent(control, join(folder, name), {
          service: name,
          targetPort: service.port,
          outbound: options.services[name] ?? [],
          ...(options.controlUrl === undefined ? {} : { controlUrl: options.controlUrl }),
        }),
      )
      agents.set(name, agent)
      await agent.restart()
    }
    const owned = stack.move()
    return {
      folder,
      control,
      service: (name) => found(services, name),
      agent: (name) => found(agents, name),
      async [Symbol.asyncDispose]() {
        await owned.disposeAsync()
        if (options.folder === undefined) await rm(folder, { recursive: true, force: true })
      },
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const one = map.get(name)
  if (one === undefined) throw new Error(`there is no ${name} in this mesh`)
  return one
}
