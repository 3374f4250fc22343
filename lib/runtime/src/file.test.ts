import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, readlink, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, test } from 'vitest'
import { ensureFolder, readFileBounded, removeFile, removeTemporaries, writeFileAtomic } from './file.ts'
import { nodeCommand } from './host.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-file-'))
})

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8)
}

describe('writeFileAtomic', () => {
  test('creates a file that only its owner may use', async () => {
    const path = join(folder, 'key')
    await writeFileAtomic(path, 'content')
    expect(await readFile(path, 'utf8')).toBe('content')
    expect(await modeOf(path)).toBe('600')
    expect(await readdir(folder)).toEqual(['key'])
  })

  test('gives the mode asked for, whatever the umask', async () => {
    const path = join(folder, 'ca.pem')
    await writeFileAtomic(path, 'content', { mode: 0o644 })
    expect(await modeOf(path)).toBe('644')
  })

  test('narrows the mode of a file that was open to others', async () => {
    const path = join(folder, 'key')
    await writeFile(path, 'old', { mode: 0o666 })
    await writeFileAtomic(path, new Uint8Array([1, 2]))
    expect(await modeOf(path)).toBe('600')
    expect([...(await readFile(path))]).toEqual([1, 2])
  })

  test('replaces a symbolic link, not what it points to', async () => {
    await writeFile(join(folder, 'target'), 'old')
    await symlink('target', join(folder, 'link'))
    await writeFileAtomic(join(folder, 'link'), 'new')
    expect(await readFile(join(folder, 'target'), 'utf8')).toBe('old')
    await expect(readlink(join(folder, 'link'))).rejects.toThrow()
  })

  test('removes what a dead writer left a minute ago, and nothing else', async () => {
    const stale = join(folder, '.key.00112233aabb.tmp')
    const names = ['.key.00112233aabc.tmp', '.key.other.tmp', '.other.00112233aabb.tmp', '.key.x.00112233aabb.tmp']
    for (const name of [stale, ...names.map((each) => join(folder, each))]) await writeFile(name, '')
    const old = Date.now() / 1000 - 120
    for (const name of [stale, ...names.slice(1).map((each) => join(folder, each))]) await utimes(name, old, old)
    await writeFileAtomic(join(folder, 'key'), 'content')
    expect((await readdir(folder)).toSorted()).toEqual([...names, 'key'].toSorted())
  })

  test('concurrent writers leave one whole content and no temporaries', async () => {
    const path = join(folder, 'key')
    const contents = Array.from({ length: 20 }, (_, index) => `${index}`.repeat(10_000))
    await Promise.all(contents.map((content) => writeFileAtomic(path, content)))
    expect(contents).toContain(await readFile(path, 'utf8'))
    expect(await readdir(folder)).toEqual(['key'])
  })

  const refused: readonly [name: string, path: () => Promise<string>][] = [
    ['a folder that is not there', async () => join(folder, 'nope', 'key')],
    [
      'a folder in the place of the file',
      async () => {
        await mkdir(join(folder, 'key', 'inside'), { recursive: true })
        return join(folder, 'key')
      },
    ],
    [
      'a file in the place of the folder',
      async () => {
        await writeFile(join(folder, 'plain'), '')
        return join(folder, 'plain', 'key')
      },
    ],
  ]
  for (const [name, path] of refused) {
    test(`refused, leaving nothing: ${name}`, async () => {
      const error = expect.objectContaining({ name: 'RuntimeError', code: 'file_unwritable' })
      await expect(writeFileAtomic(await path(), 'x')).rejects.toThrow(error)
      expect((await readdir(folder)).filter((each) => each.endsWith('.tmp'))).toEqual([])
    })
  }

  test('a writer killed at any moment leaves the old content or the new one', async () => {
    const path = join(folder, 'state')
    const size = 300_000
    await writeFileAtomic(path, 'A'.repeat(size))
    const seen = new Set<string>()
    for (let round = 0; round < 12; round++) {
      const child = spawn(nodeCommand().path, [ATOMIC_WRITER, path, String(size)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(child.stdout, 'data')
      const { promise, resolve } = Promise.withResolvers<void>()
      setTimeout(resolve, Math.random() * 25)
      await promise
      child.kill('SIGKILL')
      await once(child, 'exit')
      const content = await readFile(path, 'utf8')
      expect(content.length).toBe(size)
      expect(content).toBe((content[0] ?? '').repeat(size))
      expect(await modeOf(path)).toBe('600')
      seen.add(content[0] ?? '')
    }
    expect(seen.size).toBeGreaterThan(1)
  })
})

describe('removeTemporaries', () => {
  test('removes what writers of any file left, however young, and nothing else', async () => {
    const kept = ['key', '.key.other.tmp', '.key.00112233aabb', 'key.00112233aabb.tmp', '..00112233aabb.tmp']
    const left = ['.key.00112233aabb.tmp', '.a.b.ffffffffffff.tmp']
    for (const name of [...kept, ...left]) await writeFile(join(folder, name), '')
    expect(await removeTemporaries(folder)).toBe(2)
    expect((await readdir(folder)).toSorted()).toEqual(kept.toSorted())
    expect(await removeTemporaries(folder)).toBe(0)
  })

  test('has nothing to do where there is no folder', async () => {
    expect(await removeTemporaries(join(folder, 'none'))).toBe(0)
  })
})

const ATOMIC_WRITER = fileURLToPath(new URL('testing/atomic-writer.ts', import.meta.url))

describe('readFileBounded', () => {
  test('reads a file of exactly the bound', async () => {
    await writeFile(join(folder, 'f'), '12345')
    expect((await readFileBounded(join(folder, 'f'), 5)).toString()).toBe('12345')
  })
  test('reads an empty file', async () => {
    await writeFile(join(folder, 'f'), '')
    expect(await readFileBounded(join(folder, 'f'), 5)).toHaveLength(0)
  })
  test('follows symbolic links', async () => {
    await writeFile(join(folder, 'f'), '12345')
    await symlink('f', join(folder, 'link'))
    expect((await readFileBounded(join(folder, 'link'), 5)).toString()).toBe('12345')
  })

  const refused: readonly [name: string, code: string, path: () => Promise<string>][] = [
    [
      'one byte more than the bound',
      'file_too_large',
      async () => {
        await writeFile(join(folder, 'f'), '123456')
        return join(folder, 'f')
      },
    ],
    ['nothing there', 'file_missing', async () => join(folder, 'nope')],
    [
      'a link to nothing',
      'file_missing',
      async () => {
        await symlink('nope', join(folder, 'link'))
        return join(folder, 'link')
      },
    ],
    [
      'a link to itself',
      'file_unreadable',
      async () => {
        await symlink('link', join(folder, 'link'))
        return join(folder, 'link')
      },
    ],
    [
      'below a file',
      'file_missing',
      async () => {
        await writeFile(join(folder, 'f'), '')
        return join(folder, 'f', 'g')
      },
    ],
    ['a folder', 'file_not_regular', async () => folder],
    [
      'a pipe nobody writes to',
      'file_not_regular',
      async () => {
        execFileSync('/usr/bin/mkfifo', [join(folder, 'pipe')])
        return join(folder, 'pipe')
      },
    ],
    ['a device', 'file_not_regular', async () => '/dev/zero'],
    ['a file of the kernel that states no size', 'file_unreadable', async () => '/proc/self/status'],
  ]
  for (const [name, code, path] of refused) {
    test(`refused with ${code}: ${name}`, async () => {
      await expect(readFileBounded(await path(), 5)).rejects.toThrow(
        expect.objectContaining({ name: 'RuntimeError', code }),
      )
    })
  }
})

test('removeFile removes, and says when there is nothing', async () => {
  await writeFile(join(folder, 'f'), '')
  await removeFile(join(folder, 'f'))
  await expect(removeFile(join(folder, 'f'))).rejects.toThrow(expect.objectContaining({ code: 'file_missing' }))
})

test('ensureFolder makes private folders and keeps the mode of those that are there', async () => {
  await mkdir(join(folder, 'shared'), { mode: 0o755 })
  await ensureFolder(join(folder, 'shared', 'a', 'b'))
  await ensureFolder(join(folder, 'shared', 'a', 'b'))
  expect(await modeOf(join(folder, 'shared'))).toBe('755')
  expect(await modeOf(join(folder, 'shared', 'a'))).toBe('700')
  expect(await modeOf(join(folder, 'shared', 'a', 'b'))).toBe('700')
})
