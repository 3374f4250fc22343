import process from 'node:process'
import { EXIT } from './cli/exit.ts'
import { defineEvents, event } from './events.ts'
import { setExitCode } from './host.ts'
import type { Log } from './log.ts'
import { notifySystemd } from './notify.ts'

export interface ServiceContext {
  /** Aborts when the process is asked to stop: SIGTERM, SIGINT, SIGHUP. */
  readonly signal: AbortSignal
  /** Resolves when the process is asked to stop. */
  readonly stopped: Promise<void>
  /** Disposed in reverse order when `main` has ended, for whatever reason. */
  readonly resources: AsyncDisposableStack
  /** To be called once, when the service really can serve: systemd learns it. */
  readonly ready: () => void
}

/**
 * Runs a service until it ends or is asked to: `main` builds and waits, then what it registered is disposed of in
 * reverse order. While `main` runs, the process lives.
 *
 * The exit code tells the truth: 0 after SIGTERM or a plain end, 130 after SIGINT, 1 when something did not close or
 * an error nobody handled was seen. A second signal ends at once. `drainMs` (default 30 s) after the first one, or
 * `lingerMs` (default 2 s) after everything is closed while something still holds the process, the last-resort timer
 * ends it with 1 and says what was left.
 *
 * @throws what `main` threw, unless the process was asked to stop
 */
export async function runService(
  main: (context: ServiceContext) => Promise<void>,
  options: { log: Log; drainMs?: number; lingerMs?: number },
): Promise<void> {
  const events = serviceEvents(options.log)
  const drainMs = options.drainMs ?? 30_000
  const stop = new AbortController()
  const stopped = Promise.withResolvers<void>()
  let exit: number = EXIT.done
  let timer = setInterval(() => {}, ONE_DAY_MS)
  const startDrain = () => {
    clearTimeout(timer)
    timer = lastResort(drainMs, events)
  }

  const onSignal = (name: NodeJS.Signals) => {
    if (stop.signal.aborted) return exitNow(name === 'SIGINT' ? EXIT.interrupted : EXIT.failed)
    if (name === 'SIGINT') exit = EXIT.interrupted
    events.service_stopping({ signal: name, drainMs })
    startDrain()
    void notifySystemd('stopping')
    stop.abort(new ServiceStopping(name))
    stopped.resolve()
  }
  const onUnhandled = (error: unknown) => {
    events.error_unhandled({}, error)
    exitNow(EXIT.failed)
  }
  for (const name of SIGNALS) process.on(name, onSignal)
  process.on('uncaughtException', onUnhandled)
  process.on('unhandledRejection', onUnhandled)
  const ready = () => {
    events.service_ready({})
    void notifySystemd('ready')
  }

  const resources = new AsyncDisposableStack()
  try {
    await main({ signal: stop.signal, stopped: stopped.promise, resources, ready })
  } catch (error) {
    if (!isStop(error, stop.signal)) {
      events.service_failed({}, error)
      exit = EXIT.failed
      if (!stop.signal.aborted) throw error
    }
  } finally {
    if (!stop.signal.aborted) startDrain()
    await resources.disposeAsync().catch((error: unknown) => {
      events.service_close_failed({}, error)
      exit = EXIT.failed
    })
    clearTimeout(timer)
    for (const name of SIGNALS) process.off(name, onSignal)
    setExitCode(exit)
    events.service_stopped({ exitCode: exit })
    lastResort(options.lingerMs ?? 2000, events).unref()
  }
}

/** Why the signal of a service aborted. Waits that end with it ended as asked. */
export class ServiceStopping extends Error {
  override readonly name = 'ServiceStopping'
  readonly signal: string

  constructor(signal: string) {
    super(`asked to stop by ${signal}`)
    this.signal = signal
  }
}

function lastResort(ms: number, events: ReturnType<typeof serviceEvents>): NodeJS.Timeout {
  return setTimeout(() => {
    events.service_exit_forced({ afterMs: ms, holding: process.getActiveResourcesInfo().slice(0, 20) })
    exitNow(EXIT.failed)
  }, ms)
}

function exitNow(code: number): void {
  process.exit(code)
}

/** Node's own functions wrap the reason of a signal in an AbortError. */
function isStop(error: unknown, { aborted, reason }: AbortSignal): boolean {
  if (!aborted) return false
  return error === reason || (error instanceof Error && (error.name === 'AbortError' || error.cause === reason))
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const satisfies readonly NodeJS.Signals[]
const ONE_DAY_MS = 86_400_000

const serviceEvents = defineEvents({
  service_ready: event('info', 'ready'),
  service_stopping: event<{ signal: string; drainMs: number }>('info', 'stopping'),
  service_stopped: event<{ exitCode: number }>('info', 'stopped'),
  service_failed: event('fatal', 'the service failed'),
  service_close_failed: event('error', 'something did not close'),
  service_exit_forced: event<{ afterMs: number; holding: readonly string[] }>(
    'fatal',
    'ended by the last-resort timer',
  ),
  error_unhandled: event('fatal', 'an error nobody handled'),
})
