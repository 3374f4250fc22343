import { expect, test } from 'vitest'
import { nameList } from './name-list.ts'

const list = nameList(['covina', 'covina-ingestion', 'covina-db', 'clara', 'x-db', 'db', 'dbx', 'z'])

test.each([
  ['prefix', 'covina', ['covina', 'covina-db', 'covina-ingestion']],
  ['prefix', 'covina-', ['covina-db', 'covina-ingestion']],
  ['prefix', 'c', ['clara', 'covina', 'covina-db', 'covina-ingestion']],
  ['prefix', 'z', ['z']],
  ['prefix', 'zz', []],
  ['prefix', 'a', []],
  ['suffix', '-db', ['covina-db', 'x-db']],
  ['suffix', 'db', ['covina-db', 'db', 'x-db']],
  ['suffix', 'covina', ['covina']],
  ['suffix', 'covina-db-', []],
] as const)('%s %s matches %j', (kind, literal, names) => expect(list.matching({ kind, literal })).toEqual(names))
