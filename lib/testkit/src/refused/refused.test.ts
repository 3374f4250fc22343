import { X509_FAILURES, X509Error } from '@vcc/x509'
import { describe, expect, test } from 'vitest'
import { ACCEPTED, REFUSED } from './refused.ts'

const CASES = Object.values(REFUSED).flatMap((cases) => Object.entries(cases))

describe('every failure code has a fixture that ends with it', () => {
  test.each(CASES)('%s', (code, run) => {
    expect(run).toThrow(X509Error)
    expect(run).toThrow(expect.objectContaining({ code }))
  })

  /**
   * Their cases stand beside the code: the issuing side refuses its own input (`profile_*`, `lint_*`), OCSP has messages of
   * its own, and no structure of ours is as deep as the reader's bound.
   */
  test('but for the issuing side, OCSP and the depth of DER', () => {
    const elsewhere = /^(?:profile|lint|ocsp)_|^der_depth_exceeded$/
    const here = Object.keys(X509_FAILURES).filter((code) => !elsewhere.test(code))
    expect(CASES.map(([code]) => code).toSorted()).toEqual(here.toSorted())
  })
})

test.each(Object.entries(ACCEPTED))('%s is accepted', (_, run) => {
  expect(run).not.toThrow()
})
