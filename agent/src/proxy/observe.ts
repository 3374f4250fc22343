import type { Direction } from './unit.ts'

/** What the data plane counts. Called on the hot path: must return at once and never throw. */
export interface ProxyMetrics {
  opened(direction: Direction, unit: 'connection' | 'request'): void
  closed(direction: Direction, unit: 'connection' | 'request'): void
  /** `result` is `ok` or the code that ended the handshake. */
  handshake(direction: Direction, result: string): void
  /** Bytes from (`in`) and to (`out`) the mesh. */
  bytes(direction: Direction, way: 'in' | 'out', count: number): void
  /** `result` is `allowed` or the code of the refusal. */
  decision(direction: Direction, source: string, target: string, result: string): void
}

/** What the data plane tells beside the records of closed connections. */
export interface ProxyEvents {
  readonly listening: (fields: { listener: string; endpoint: string }) => void
  readonly snapshot_applied: (fields: { generation: string; decided: number; cut: number }) => void
  readonly self_check: (fields: { serialHex: string; protocol: string; cipher: string; group: string }) => void
  readonly self_check_failed: (fields: { reason: string }) => void
  readonly address_ejected: (fields: { upstream: string; address: string; reason: string; forMs: number }) => void
  readonly admission_refused: (fields: { reason: string; address: string }) => void
  readonly request_unreadable: (fields: {
    side: string
    reason: string
    source: string
    target: string
    connection: string
  }) => void
}

export const NO_METRICS: ProxyMetrics = {
  opened() {},
  closed() {},
  handshake() {},
  bytes() {},
  decision() {},
}

export const NO_EVENTS: ProxyEvents = {
  listening() {},
  snapshot_applied() {},
  self_check() {},
  self_check_failed() {},
  address_ejected() {},
  admission_refused() {},
  request_unreadable() {},
}
