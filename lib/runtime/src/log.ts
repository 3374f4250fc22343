import { destination, type Logger, pino } from 'pino'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What an event may say. Bytes and key objects do not fit, so there is nothing to redact. */
export type LogValue =
  | string
  | number
  | bigint
  | boolean
  | Date
  | null
  | undefined
  | readonly string[]
  | readonly number[]
export type LogFields = { readonly [name: string]: LogValue } & { readonly error?: never }

/** A place for events. Nothing but an event of `defineEvents` writes to it. */
export interface Log {
  readonly name: string
  /** May be changed while the program runs, for this log and its children. */
  level: LogLevel
  /** The same log, with these fields on every event. */
  child(fields: LogFields): Log
  /** For `defineEvents`; parts call their events instead. */
  record(level: LogLevel, event: string, message: string, fields: LogFields, error?: unknown): void
}

/**
 * JSON Lines on standard output, written before the call returns: nothing is lost at exit.
 *
 * @param options.stream  Tests and files; it gets one line per call.
 */
export function createLogger(options: { name: string; level?: LogLevel; stream?: { write(line: string): void } }): Log {
  const level: Level = { current: options.level ?? 'info' }
  const root = pino(
    {
      base: { name: options.name },
      level: 'trace',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.stream ?? standardOutput(),
  )
  return logOver(root, options.name, level)
}

/** A log that forgets: for tests and one-shot commands. */
export const silentLog: Log = createLogger({ name: 'silent', level: 'fatal', stream: { write: () => {} } })

/** Written before the call returns. A reader that is gone costs lines, never the service. */
function standardOutput(): { write(line: string): void } {
  return destination({ dest: 1, sync: true }).on('error', () => {})
}

/** The level is shared by a log and its children; pino's own belongs to one child each. */
interface Level {
  current: LogLevel
}

function logOver(sink: Logger, name: string, level: Level): Log {
  return {
    name,
    get level() {
      return level.current
    },
    set level(next) {
      if (!LOG_LEVELS.includes(next)) throw new TypeError(`no log level "${next}"`)
      level.current = next
    },
    child: (fields) => logOver(sink.child(plain(fields)), name, level),
    record(at, event, message, fields, error) {
      if (LOG_LEVELS.indexOf(at) < LOG_LEVELS.indexOf(level.current)) return
      sink[at]({ event, ...plain(fields), ...(error === undefined ? {} : { error: describeError(error) }) }, message)
    },
  }
}

interface ErrorDescription {
  readonly name: string
  readonly message: string
  readonly code?: string | number
  readonly stack?: string
  readonly cause?: ErrorDescription
}

/** An error and its causes by name, code and message; other properties are left out, they may hold anything. */
export function describeError(error: unknown, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) return { name: typeof error, message: cut(String(error)) }
  const code =
    'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? error.code : undefined
  return {
    name: error.name,
    message: cut(error.message),
    ...(code === undefined ? {} : { code }),
    ...(depth === 0 && error.stack !== undefined ? { stack: cut(error.stack) } : {}),
    ...(error.cause === undefined || depth >= 4 ? {} : { cause: describeError(error.cause, depth + 1) }),
  }
}

function plain(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plainValue(value)]))
}

function plainValue(value: LogValue): unknown {
  if (typeof value === 'string') return cut(value)
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  return value
}

/** Peers choose some of these texts. */
function cut(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`
}

const MAX_TEXT = 4096
