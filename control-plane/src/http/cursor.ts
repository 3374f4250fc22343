import { DomainError } from '../errors.ts'

/** A row id as an opaque text: pages go on after that row, whatever is inserted meanwhile. */
export function encodeCursor(rows: readonly { readonly id: number }[], limit: number): string | null {
  const last = rows.at(-1)
  return last === undefined || rows.length < limit ? null : Buffer.from(`r${last.id}`).toString('base64url')
}

/** @throws {DomainError} `cursor_invalid` */
export function decodeCursor(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, digits] = /^r(\d{1,15})$/.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? []
  if (digits === undefined) throw new DomainError('cursor_invalid', 'this cursor does not come from a page of ours')
  return Number(digits)
}
