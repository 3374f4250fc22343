import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { X509_FAILURES, X509Error } from './errors.ts'

const here = import.meta.dirname
const read = (pattern: string, keep: (path: string) => boolean): string =>
  globSync(pattern, { cwd: here })
    .filter(keep)
    .map((path) => readFileSync(join(here, path), 'utf8'))
    .join('\n')

const tests = read('**/*.test.ts', () => true)
const sources = read('**/*.ts', (path) => !/\.test\.ts$|^testing\/|^errors\.ts$/.test(path))
const codes = Object.keys(X509_FAILURES)

describe('every failure code', () => {
  test('has a case that fails with it', () => {
    const asserted = new Set([...tests.matchAll(/fails: '(\w+)'/g)].map(([, code]) => code))
    expect(codes.filter((code) => !asserted.has(code))).toEqual([])
  })

  test('is thrown somewhere', () => {
    expect(codes.filter((code) => !sources.includes(`'${code}'`))).toEqual([])
  })

  test('names its source', () => {
    expect(
      Object.values(X509_FAILURES).filter(
        ({ source }) => !/RFC|X\.\d|X509-SVID|FIPS|SEC|Baseline Requirements|\.md/.test(source),
      ),
    ).toEqual([])
  })

  test('travels in an error with a name, a message and a cause', () => {
    const error = new X509Error('pem_invalid', 'words', { cause: 1 })
    expect(error).toBeInstanceOf(Error)
    expect([error.name, error.code, error.message, error.cause]).toEqual(['X509Error', 'pem_invalid', 'words', 1])
  })
})
