import { test } from 'tap'

test('the runner strips types and reports', (t) => {
  const answer: number = 6 * 7
  t.equal(answer, 42)
  t.end()
})
