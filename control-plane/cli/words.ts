/** `2026-11-23 10:21 +01:00`: local, with its offset, for tables. JSON keeps UTC. */
export function localTime(iso: string | null): string {
  if (iso === null) return '-'
  const at = Temporal.Instant.from(iso).toZonedDateTimeISO(Temporal.Now.timeZoneId())
  return `${at.toPlainDateTime().toString({ smallestUnit: 'minute' }).replace('T', ' ')} ${at.offset}`
}

export function yesNo(value: boolean): string {
  return value ? 'yes' : 'no'
}

/** `name   value` lines, the names padded to one width. */
export function facts(rows: Readonly<Record<string, string | number | null>>): string {
  const width = Math.max(...Object.keys(rows).map((name) => name.length))
  return Object.entries(rows)
    .map(([name, value]) => `${name.padEnd(width)}  ${value ?? '-'}`)
    .join('\n')
}
