import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { assert, test } from 'vitest'
import { runChild } from './child.ts'

const run = async (script: string, deadlineMs = 20_000, signal = new AbortController().signal) => {
  let output = ''
  const result = await runChild('bash', ['-c', script], {
    deadlineMs,
    signal,
    onOutput: (text) => {
      output += text
    },
  })
  return { result, output }
}

/** A zombie is not alive; nobody may be there to reap it. */
const isAlive = (pid: string): boolean =>
  existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')

test('exit status 0 is clean, and all output arrives', async () => {
  const { result, output } = await run('echo out; echo err >&2; head -c 200000 /dev/zero | tr "\\0" x')
  assert.deepEqual(result, { clean: true })
  assert.lengthOf(output, 200_008)
})

test('another exit status is told', async () => {
  assert.deepEqual((await run('exit 3')).result, { clean: false, why: 'exit status 3' })
})

test('a signal is told', async () => {
  assert.deepEqual((await run('kill -SEGV $$')).result, { clean: false, why: 'exit status SIGSEGV' })
})

test('a command that does not exist is told', async () => {
  const result = await runChild('no-such-command', [], {
    deadlineMs: 1_000,
    signal: new AbortController().signal,
    onOutput() {},
  })
  assert.isFalse(result.clean)
  assert.include(result.why, 'ENOENT')
})

test('what a child leaves running is ended and told', async () => {
  const { result, output } = await run('sleep 60 >/dev/null 2>&1 & echo $!')
  assert.deepEqual(result, { clean: false, why: 'left processes running' })
  assert.isFalse(isAlive(output.trim()))
})

test('the deadline ends a child with its children', async () => {
  const { result, output } = await run('sleep 60 & echo $!; wait', 300)
  assert.deepEqual(result, { clean: false, why: 'no end within 0.3 s' })
  assert.isFalse(isAlive(output.trim()))
})

test('an interruption ends a child that ignores SIGTERM', async () => {
  const controller = new AbortController()
  void sleep(300).then(() => controller.abort())
  const { result } = await run('trap "" TERM; echo $$; while :; do sleep 0.1; done', 20_000, controller.signal)
  assert.deepEqual(result, { clean: false, why: 'interrupted' })
})
