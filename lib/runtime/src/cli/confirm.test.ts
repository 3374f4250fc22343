import { expect, test } from 'vitest'
import { confirm } from './confirm.ts'

const answering = (answer: string) => async () => answer

test('--yes asks nothing', async () => {
  await confirm({ question: 'revoke?', yes: true, ask: () => Promise.reject(new Error('asked')) })
})
test('the word or name asked for confirms', async () => {
  await confirm({ question: 'revoke?', yes: false, ask: answering('yes') })
  await confirm({ question: 'delete?', expect: 'covina', yes: false, ask: answering(' covina ') })
})
for (const answer of ['', 'y', 'no', 'YES', 'covin']) {
  test(`"${answer}" does not confirm`, async () => {
    const refused = expect.objectContaining({ name: 'CliError', code: 'confirmation_refused', exit: 'failed' })
    await expect(confirm({ question: 'x', yes: false, ask: answering(answer) })).rejects.toThrow(refused)
    await expect(confirm({ question: 'x', expect: 'covina', yes: false, ask: answering(answer) })).rejects.toThrow(
      refused,
    )
  })
}
