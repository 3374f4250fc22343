import type { Log, LogFields, LogLevel } from './log.ts'

/** One kind of event: its level, its words, and the type of what it tells. Made by `event`. */
export interface EventKind<Fields extends LogFields> {
  readonly level: LogLevel
  readonly message: string
  /** Only a type: never set. */
  readonly fields?: Fields
}

export type EventTable = Readonly<Record<string, EventKind<LogFields>>>

export type Events<Table extends EventTable> = {
  readonly [Name in keyof Table]: (fields: FieldsOf<Table[Name]>, error?: unknown) => void
}

export function event(level: LogLevel, message: string): EventKind<NoFields>
export function event<Fields extends LogFields>(level: LogLevel, message: string): EventKind<Fields>
export function event(level: LogLevel, message: string): EventKind<LogFields> {
  return { level, message }
}

/**
 * The events of one part, each a function with typed arguments; the key is its stable name in the log.
 *
 * ```ts
 * export const agentEvents = defineEvents({
 *   certificate_renewed: event<{ serialHex: string; notAfter: Date }>('info', 'certificate renewed'),
 * })
 * const events = agentEvents(log)
 * events.certificate_renewed({ serialHex, notAfter })
 * ```
 */
export function defineEvents<Table extends EventTable>(table: Table): (log: Log) => Events<Table> {
  return (log) =>
    // Every key of the table is written, so the record is complete.
    Object.fromEntries(
      Object.entries(table).map(([name, { level, message }]) => [
        name,
        (fields: LogFields, error?: unknown) => log.record(level, name, message, fields, error),
      ]),
    ) as unknown as Events<Table>
}

/** An event that says it all by its name is called with `{}`. */
type NoFields = Readonly<Record<string, undefined>>

type FieldsOf<Kind> = Kind extends EventKind<infer Fields> ? Fields : never
