import type { CloseRecord } from '../proxy/close-record.ts'

/** The access log line of a connection or request. What is not known is empty, so that every line has every field. */
export function accessFields(record: CloseRecord) {
  const { source, target, http } = record
  return {
    result: record.result,
    code: record.code,
    rule: record.rule,
    direction: record.direction,
    unit: record.unit,
    connection: record.connection,
    source: source.id,
    source_instance: source.instance ?? '',
    source_class: source.class ?? '',
    source_serial: source.serialHex ?? '',
    source_address: source.address ?? '',
    target: target.id,
    target_instance: target.instance ?? '',
    generation: record.generation,
    duration_ms: record.durationMs,
    bytes_in: record.bytesIn,
    bytes_out: record.bytesOut,
    method: http?.method ?? '',
    status: http?.status ?? 0,
    detail: record.detail ?? '',
  }
}
