/** Instants on the wire: `2026-03-31T23:59:59Z`, whole seconds, UTC, nothing else. */
export function isoSeconds(at: Date): string {
  return `${wholeSeconds(at).toISOString().slice(0, 19)}Z`
}

/** Whether the text is an instant that exists: February has no 31st, an hour no 60th minute. */
export function isInstant(text: string): boolean {
  if (!INSTANT.test(text)) return false
  const ms = Date.parse(text)
  return !Number.isNaN(ms) && isoSeconds(new Date(ms)) === text
}

/** The instant an already checked text names. @throws {TypeError} for anything `isInstant` refuses */
export function instantOf(text: string): Date {
  if (!isInstant(text)) throw new TypeError('not an instant of the form 2026-03-31T23:59:59Z')
  return new Date(text)
}

/** Certificates and signed state count whole seconds; the fraction is cut off, never rounded up. */
export function wholeSeconds(at: Date): Date {
  return new Date(Math.floor(at.getTime() / 1000) * 1000)
}

export function addSeconds(at: Date, seconds: number): Date {
  return new Date(at.getTime() + seconds * 1000)
}

export function latest(first: Date, ...others: readonly (Date | undefined)[]): Date {
  return others.reduce<Date>((a, b) => (b !== undefined && b > a ? b : a), first)
}

export function earliest(first: Date, ...others: readonly (Date | undefined)[]): Date {
  return others.reduce<Date>((a, b) => (b !== undefined && b < a ? b : a), first)
}

const INSTANT = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/u
