import { join } from 'node:path'
import { SERVICE_PY } from './paths.ts'
import { eventually, type RunningProcess, start } from './process.ts'

export interface PlainService extends AsyncDisposable {
  readonly name: string
  readonly port: number
  readonly process: RunningProcess
}

/** A real HTTP service in Python's standard library, which knows nothing of TLS. */
export async function startService(name: string, folder: string, port = 0): Promise<PlainService> {
  const process = start({
    name: `${name}.py`,
    command: 'python3',
    args: ['-u', SERVICE_PY, '--name', name, '--port', String(port)],
    logFile: join(folder, `${name}.service.log`),
  })
  const listening = await eventually(`${name} listens`, () => {
    if (process.hasExited()) throw new Error(`${name} ended: ${process.output()}`)
    return /\{"listening": (\d+)\}/.exec(process.output())?.[1]
  })
  return {
    name,
    port: Number(listening),
    process,
    [Symbol.asyncDispose]: async () => {
      await process.stop('SIGKILL')
    },
  }
}
