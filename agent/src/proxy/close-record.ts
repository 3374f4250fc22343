import type { Refusal } from './refusal.ts'
import type { Direction, Unit } from './unit.ts'

/** One end of a call, as far as it is known. */
export interface Party {
  readonly id: string
  readonly instance?: string
  readonly class?: string
  readonly serialHex?: string
  readonly address?: string
}

/** How a unit ended that was not refused or cut. */
export type EndCode = 'complete' | 'aborted_by_caller' | 'aborted_by_service' | 'idle' | 'half_close_deadline'

/** The one record that tells about a connection, or a request in HTTP mode, when it is over. */
export interface CloseRecord {
  readonly result: 'carried' | 'refused' | 'cut'
  /** The same on both sides, once the handshake is done. */
  readonly connection: string
  readonly unit: 'connection' | 'request'
  readonly direction: Direction
  readonly source: Party
  readonly target: Party
  /** The rule that allowed or refused. */
  readonly rule: string
  readonly code: string
  readonly generation: string
  readonly openedAt: Date
  readonly durationMs: number
  /** From and to the mesh, seen from this agent. */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly http?: { readonly method: string; readonly status: number | null }
  readonly detail?: string
}

/** What the registry knows about a unit beside what the unit says itself. */
export interface Life {
  /** The rule that allowed it last. */
  readonly rule: string
  readonly generation: string
  readonly cutBy: Refusal | undefined
}

export interface End {
  readonly code: string
  readonly rule?: string
  readonly detail?: string
}

/** A cut keeps its reason, whatever the owner of the unit saw of it. */
export function recordOf(unit: Unit, life: Life, end: End, now: Date): CloseRecord {
  const code = life.cutBy?.code ?? end.code
  const rule = life.cutBy?.rule ?? end.rule ?? life.rule
  const detail = life.cutBy === undefined ? end.detail : life.cutBy.detail
  return {
    result: life.cutBy !== undefined ? 'cut' : END_CODES.has(code) ? 'carried' : 'refused',
    connection: unit.connection,
    unit: unit.unit,
    direction: unit.direction,
    source: unit.source,
    target: unit.target,
    rule,
    code,
    generation: life.generation,
    openedAt: unit.openedAt,
    durationMs: now.getTime() - unit.openedAt.getTime(),
    bytesIn: unit.bytesIn(),
    bytesOut: unit.bytesOut(),
    ...(unit.http === undefined ? {} : { http: { method: unit.http.method, status: unit.http.status } }),
    ...(detail === undefined ? {} : { detail }),
  }
}

const END_CODES: ReadonlySet<string> = new Set<EndCode>([
  'complete',
  'aborted_by_caller',
  'aborted_by_service',
  'idle',
  'half_close_deadline',
])
