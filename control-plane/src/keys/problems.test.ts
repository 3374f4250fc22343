import { PROBLEMS } from '@vcc/api'
import { KEY_FAILURES, KeyError, type KeyFailure } from '@vcc/keys'
import { expect, test } from 'vitest'
import { problemFor, retryAfterSeconds } from '../problems.ts'
import { keyProblem, signerProblem } from './problems.ts'

const failures = Object.keys(KEY_FAILURES) as KeyFailure[] // the table has no other keys
const secret = 'the token labelled "vcc" in /usr/lib/module.so'

for (const code of failures.filter((each) => each.startsWith('hsm_'))) {
  test(`${code} reaches callers by its name, without what the token is called`, () => {
    const document = problemFor(new KeyError(code, secret), 'request')
    expect(document).toEqual({
      type: `urn:vcc:problem:${code}`,
      code,
      status: PROBLEMS[keyProblem(new KeyError(code, ''))].status,
      title: document.title,
      request_id: 'request',
    })
    expect(JSON.stringify(document)).not.toContain('vcc"')
    expect(signerProblem(new KeyError(code, secret))).toBe(code)
  })
}

for (const code of failures.filter((each) => !each.startsWith('hsm_'))) {
  test(`${code} of a signature is signer_unavailable`, () => {
    expect(signerProblem(new KeyError(code, ''))).toBe('signer_unavailable')
  })
}

test('what is no failure of a key is signer_unavailable, too', () => {
  expect(signerProblem(new Error('late'))).toBe('signer_unavailable')
})

test('Retry-After stands where waiting alone may help, and not where somebody has to act', () => {
  const waits = (code: KeyFailure) => retryAfterSeconds(problemFor(new KeyError(code, ''), 'request'))
  expect(waits('hsm_unavailable')).toBe(5)
  expect(waits('hsm_busy')).toBe(1)
  expect(waits('signer_deadline')).toBe(5)
  expect(waits('hsm_pin_refused')).toBeUndefined()
  expect(waits('hsm_pin_locked')).toBeUndefined()
})
