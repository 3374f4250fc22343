import { stripVTControlCharacters } from 'node:util'

/** Foreign text made harmless for a terminal and a line: no escape sequences, no control or invisible characters. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(UNPRINTABLE, (character) => {
    const number = (character.codePointAt(0) ?? 0).toString(16)
    return number.length <= 2 ? `\\x${number.padStart(2, '0')}` : `\\u{${number}}`
  })
}

export interface Column<Row> {
  readonly header: string
  readonly text: (row: Row) => string
}

/** A table with a header, two spaces between columns, one line per row, and a line end. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const lines = [
    columns.map((column) => column.header),
    ...rows.map((row) => columns.map((column) => printable(column.text(row)))),
  ]
  const widths = columns.map((_, index) => Math.max(...lines.map((cells) => width(cells[index] ?? ''))))
  return lines
    .map(
      (cells) =>
        `${cells
          .map((cell, index) => pad(cell, widths[index] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

function pad(cell: string, to: number): string {
  return cell + ' '.repeat(Math.max(0, to - width(cell)))
}

function width(text: string): number {
  return Array.from(text).length
}

/** Control, format (bidirectional overrides, zero width), line and paragraph separators, lone surrogates. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
