import { expect, test } from 'vitest'
import { formatTable, printable } from './text.ts'

const foreign: readonly [name: string, text: string, shown: string][] = [
  ['plain text', 'covina', 'covina'],
  ['umlauts', 'Prüfgerät', 'Prüfgerät'],
  ['a colour', '\x1b[31mred\x1b[0m', 'red'],
  ['a window title', '\x1b]0;owned\x07x', 'x'],
  ['a line feed', 'a\nb', 'a\\x0ab'],
  ['a carriage return', 'a\rb', 'a\\x0db'],
  ['a tab', 'a\tb', 'a\\x09b'],
  ['NUL', 'a\0b', 'a\\x00b'],
  ['a lone escape', 'a\x1bb', 'a\\x1bb'],
  ['C1 control', 'a\x85b', 'a\\x85b'],
  ['right-to-left override', 'a\u202egpj.exe', 'a\\u{202e}gpj.exe'],
  ['zero-width joiner', 'a\u200db', 'a\\u{200d}b'],
  ['line separator', 'a\u2028b', 'a\\u{2028}b'],
  ['byte-order mark', '\ufeffa', '\\u{feff}a'],
  ['lone surrogate', 'a\ud800b', 'a\\u{d800}b'],
]
for (const [name, text, shown] of foreign) {
  test(`${name} is shown harmless`, () => expect(printable(text)).toBe(shown))
}

test('columns are as wide as their widest cell, and lines end without blanks', () => {
  const columns = [
    { header: 'SERVICE', text: (row: { name: string; state: string }) => row.name },
    { header: 'STATE', text: (row: { name: string; state: string }) => row.state },
  ]
  const rows = [
    { name: 'management-core', state: 'ready' },
    { name: 'ü\n', state: '' },
  ]
  expect(formatTable(columns, rows)).toBe('SERVICE          STATE\nmanagement-core  ready\nü\\x0a\n')
  expect(formatTable(columns, [])).toBe('SERVICE  STATE\n')
})
