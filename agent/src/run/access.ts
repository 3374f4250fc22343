import { createLogger, defineEvents, event } from '@vcc/runtime'
import type { CloseRecord } from '../proxy/close-record.ts'

/** One line when a connection or request is over. On a log of its own: the level of the others does not hide it. */
const accessEvents = defineEvents({
  access: event<{
    result: string
    code: string
    rule: string
    direction: string
    unit: string
    connection: string
    source: string
    source_instance: string
    source_class: string
    source_serial: string
    source_address: string
    target: string
    target_instance: string
    generation: string
    duration_ms: number
    bytes_in: number
    bytes_out: number
    method: string
    status: number
    detail: string
  }>('info', 'connection over'),
})

export function accessLog(isOn: boolean): (record: CloseRecord) => void {
  if (!isOn) return () => {}
  const { access } = accessEvents(createLogger({ name: 'vcc-agent' }))
  return (record) => access(accessFields(record))
}

/** What is not known is empty, so that every line has every field. */
function accessFields(record: CloseRecord) {
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
