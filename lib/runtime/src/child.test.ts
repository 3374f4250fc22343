import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { startChild } from './child.ts'
import { nodeCommand } from './host.ts'

const ECHO = new URL('./testing/echo-child.ts', import.meta.url)

test('a child serves its channel, and gets what is secret by no other way', async () => {
  const { process: child, channel } = startChild(ECHO, { VCC_TEST: 'seen' })
  channel.write('a secret')
  expect(String(await once(channel, 'data'))).toContain('a secret')
  const about = await Promise.all(['cmdline', 'environ'].map((name) => readFile(`/proc/${child.pid}/${name}`, 'utf8')))
  expect(about.join()).not.toContain('a secret')
  expect(about.join().split('\0')).toContain('VCC_TEST=seen')
  channel.end()
  await once(child, 'exit')
})

test('a child outlives the signals that its parent acts on, and ends with the channel, though a thread is busy', async () => {
  const { process: child, channel } = startChild(ECHO)
  channel.write('busy')
  await once(channel, 'data')
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) child.kill(name)
  channel.write('still there')
  expect(String(await once(channel, 'data'))).toContain('still there')
  channel.destroy()
  await once(child, 'exit')
})

test('a child whose parent is killed ends', async () => {
  const parent = spawn(
    nodeCommand().path,
    [fileURLToPath(new URL('./testing/parent.ts', import.meta.url)), ECHO.href],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const pid = Number(String(await once(parent.stdout, 'data')))
  expect(existsSync(`/proc/${pid}`)).toBe(true)
  parent.kill('SIGKILL')
  const until = Date.now() + 25_000
  while (existsSync(`/proc/${pid}`)) {
    expect(Date.now()).toBeLessThan(until)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
})

test('a module that cannot be loaded ends the child with a failure', async () => {
  const { process: child, channel } = startChild(new URL('./testing/nothing-there.ts', import.meta.url))
  channel.on('error', () => {}) // the child has ended
  expect(await once(child, 'exit')).toEqual([1, null])
})
