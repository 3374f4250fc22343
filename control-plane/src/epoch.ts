/** Instants as the database holds them: whole seconds since 1970, the fraction cut off. */
export function epochSeconds(at: Date): number {
  return Math.floor(at.getTime() / 1000)
}

/** As the API shows them: `2026-11-22T13:05:11Z`. */
export function isoOf(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
}

export function isoOrNull(seconds: number | null): string | null {
  return seconds === null ? null : isoOf(seconds)
}
