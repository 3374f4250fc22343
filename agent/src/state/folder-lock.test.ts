import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeCommand } from '@vcc/runtime'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lockFolder } from './folder-lock.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-lock-'))
})
afterEach(() => rm(folder, { recursive: true }))

const BUSY = { code: 'state_folder_busy', exit: 'conflict' }

test('one at a time, and the next one after it', async () => {
  {
    using _ = await lockFolder(folder)
    await expect(lockFolder(folder)).rejects.toMatchObject(BUSY)
    expect(await readdir(folder)).toEqual(['lock'])
    expect((await stat(join(folder, 'lock'))).mode & 0o777).toBe(0o600)
  }
  using _ = await lockFolder(folder)
})

test('of many that start at once one gets it', async () => {
  const results = await Promise.allSettled(Array.from({ length: 4 }, () => lockFolder(folder)))
  const holders = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  expect(holders.length).toBe(1)
  for (const holder of holders) holder[Symbol.dispose]()
})

test('another process holds it, and a killed one no longer', async () => {
  const program = `
    const { lockFolder } = await import(${JSON.stringify(new URL('folder-lock.ts', import.meta.url).href)})
    await lockFolder(${JSON.stringify(folder)})
    console.log('held')
    setInterval(() => {}, 1000)`
  const child = spawn(nodeCommand().path, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  await expect(lockFolder(folder)).rejects.toMatchObject(BUSY)
  child.kill('SIGKILL')
  await once(child, 'exit')
  using _ = await lockFolder(folder)
})

test('a folder that does not exist was never joined', async () => {
  await expect(lockFolder(join(folder, 'none'))).rejects.toMatchObject({ code: 'not_joined' })
})

test('a lock file of something else is no lock', async () => {
  await writeFile(join(folder, 'lock'), 'x'.repeat(2000))
  const refused = { code: 'state_folder_unusable', hint: expect.stringContaining('remove ') as string }
  await expect(lockFolder(folder)).rejects.toMatchObject(refused)
})
