import { expect, test } from 'vitest'
import { sleep } from '../wait.ts'
import { showProgress } from './progress.ts'

function written(terminal: boolean, afterMs: number) {
  const texts: string[] = []
  return { texts, progress: showProgress('waiting', { terminal, afterMs, write: (text) => texts.push(text) }) }
}

test('nothing is shown without a terminal', async () => {
  const { texts, progress } = written(false, 1)
  await sleep(20)
  progress.update('still')
  progress[Symbol.dispose]()
  expect(texts).toEqual([])
})
test('nothing is shown of what ends soon', async () => {
  const { texts, progress } = written(true, 1000)
  progress[Symbol.dispose]()
  await sleep(5)
  expect(texts).toEqual([])
})
test('what lasts is shown on one line, followed, and removed', async () => {
  const { texts, progress } = written(true, 5)
  await sleep(30)
  progress.update('still\n')
  progress[Symbol.dispose]()
  expect(texts).toEqual(['\r\x1b[2Kwaiting …', '\r\x1b[2Kstill\\x0a …', '\r\x1b[2K'])
})
