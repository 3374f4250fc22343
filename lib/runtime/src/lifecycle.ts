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
  /** Disposed in reverse order when the service ends, for whatever reason. */
  readonly resources: AsyncDisposableStack
  /** To be called once, when the service really can serve: systemd learns it. */
  readonly ready: () => void
}

/**
 * Runs a service until it ends or is asked to: builds with `main`, waits, disposes of everything it registered in reverse order.
 *
 * The exit code tells the truth: 0 after SIGTERM or a plain end, 130 after SIGINT, 1 when something did not close or an error
 * nobody handled was seen. A second signal ends at once. `drainMs` (default 30 s) after the first one, or 2 s after everything is
 * closed while something still holds the process, the last-resort timer ends it with 1 and says what was left.
 *
 * @throws what `main` threw, unless the process was asked to stop
 */
export async function runService(
  main: (context: ServiceContext) => Promise<void>,
  options: { log: Log; drainMs?: number; lingerMs?: number },
): Promise<void> {
  const events = serviceEvents(options.log)
  const stop = new AbortController()
  const stopped = Promise.withResolvers<void>()
  const drainMs = options.drainMs ?? 30_000
  let exit: number = EXIT.done

  const onSignal = (name: NodeJS.Signals) => {
    if (stop.signal.aborted) return exitNow(name === 'SIGINT' ? EXIT.interrupted : EXIT.failed)
    events.service_stopping({ signal: name, drainMs })
    if (name === 'SIGINT') exit = EXIT.interrupted
    lastResort(drainMs, events)
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

  const resources = new AsyncDisposableStack()
  try {
    await main({
      signal: stop.signal,
      stopped: stopped.promise,
      resources,
      ready: () => {
        events.service_ready({})
        void notifySystemd('ready')
      },
    })
  } catch (error) {
    if (!stop.signal.aborted || !isAbort(error, stop.signal)) {
      events.service_failed({}, error)
      exit = EXIT.failed
      if (!stop.signal.aborted) throw error
    }
  } finally {
    exit = Math.max(exit, await dispose(resources, drainMs, events))
    setExitCode(exit)
    events.service_stopped({ exitCode: exit })
    lastResort(options.lingerMs ?? 2000, events)
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

async function dispose(resources: AsyncDisposableStack, drainMs: number, events: ServiceEvents): Promise<number> {
  const timer = lastResort(drainMs, events)
  try {
    await resources.disposeAsync()
    return EXIT.done
  } catch (error) {
    events.service_close_failed({}, error)
    return EXIT.failed
  } finally {
    clearTimeout(timer)
  }
}

/** Holds nothing open itself: a process with nothing left to do ends before. */
function lastResort(ms: number, events: ServiceEvents): NodeJS.Timeout {
  const timer = setTimeout(() => {
    events.service_exit_forced({ afterMs: ms, holding: process.getActiveResourcesInfo().slice(0, 20) })
    exitNow(EXIT.failed)
  }, ms)
  return timer.unref()
}

function exitNow(code: number): void {
  process.exit(code)
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  return (
    error === signal.reason ||
    (error instanceof Error && (error.name === 'AbortError' || error.cause === signal.reason))
  )
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const satisfies readonly NodeJS.Signals[]

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
type ServiceEvents = ReturnType<typeof serviceEvents>
