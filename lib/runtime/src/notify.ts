import { execFile } from 'node:child_process'
import { type Environment, environment } from './host.ts'

/**
 * Tells systemd the state of the service when it asked for that (`Type=notify`, `NotifyAccess=all`), else does nothing.
 * Never throws: a service that works is not stopped because the message did not arrive.
 *
 * @returns whether systemd was told
 */
export async function notifySystemd(state: 'ready' | 'stopping', env: Environment = environment()): Promise<boolean> {
  if (env['NOTIFY_SOCKET'] === undefined || env['NOTIFY_SOCKET'] === '') return false
  const { promise, resolve } = Promise.withResolvers<boolean>()
  execFile('systemd-notify', ['--no-block', ARGUMENT[state]], { timeout: 5000, env: { ...env } }, (error) =>
    resolve(error === null),
  )
  return await promise
}

const ARGUMENT = { ready: '--ready', stopping: 'STOPPING=1' } as const
