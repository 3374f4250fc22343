import { DENIALS } from '@vcc/policy'
import { X509_FAILURES } from '@vcc/x509'
import { expect, test } from 'vitest'
import { PROXY_REFUSALS, wireForm } from './refusal.ts'

test('every code has a status of its own side and a title', () => {
  for (const code of [...Object.keys(PROXY_REFUSALS), ...Object.keys(DENIALS), ...Object.keys(X509_FAILURES)]) {
    const { caller, callee, title } = wireForm(code)
    expect([code, caller >= 400 && caller < 600, callee >= 400 && callee < 600, title.length > 0]).toEqual([
      code,
      true,
      true,
      true,
    ])
  }
})

test('a refused certificate is 403 where the caller showed it, 502 where the service did', () => {
  for (const code of ['certificate_expired', 'certificate_missing', 'uri_san_multiple', 'issuer_not_in_table']) {
    expect([code, wireForm(code).callee, wireForm(code).caller]).toEqual([code, 403, 502])
  }
})

test('the matrix refuses with 403 on either side', () => {
  for (const code of Object.keys(DENIALS)) expect(wireForm(code)).toMatchObject({ caller: 403, callee: 403 })
})

test('no code means two things', () => {
  const codes = [PROXY_REFUSALS, DENIALS, X509_FAILURES].flatMap((table) => Object.keys(table))
  expect(new Set(codes).size).toBe(codes.length)
})

test('a code of a newer agent is a refusal all the same, whatever it is called', () => {
  for (const code of ['something_new', 'constructor', '__proto__', 'toString']) {
    expect(wireForm(code)).toMatchObject({ caller: 403, callee: 403 })
  }
})
