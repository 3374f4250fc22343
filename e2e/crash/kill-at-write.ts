/**
 * Loaded before a program (`node --import`), it ends it with SIGKILL at a named step of a file's replacement, once the
 * file that `VCC_TEST_KILL_ORDER` names says so: `<name> <step>`, as in `identity.pem renamed`, or by the end of the name,
 * as in `*.key written`. The program's own code runs as it is; what is watched are Node's file functions below it.
 *
 * Steps of a replacement: `created` (the temporary file), `written`, `synced`, `renamed`, `folder_synced`; `removed` of
 * an unlinked file.
 */
import { readFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename } from 'node:path'

const order = process.env['VCC_TEST_KILL_ORDER'] ?? ''
/** The file whose folder is flushed next. */
let renamed: string | undefined

function passed(name: string | undefined, step: string): void {
  if (name === undefined) return
  const [wanted = '', at] = ordered().split(' ')
  const isMeant = wanted.startsWith('*') ? name.endsWith(wanted.slice(1)) : name === wanted
  if (isMeant && at === step) process.kill(process.pid, 'SIGKILL')
}

function ordered(): string {
  try {
    return readFileSync(order, 'utf8').trim()
  } catch {
    return ''
  }
}

/** The file that a temporary one is to become. */
function target(path: unknown): string | undefined {
  return /^\.(.+)\.[0-9a-f]{12}\.tmp$/.exec(basename(String(path)))?.[1]
}

const { open, rename, unlink } = fs

fs.open = async (...args: Parameters<typeof open>) => {
  const handle = await open(...args)
  const name = target(args[0])
  if (name === undefined) return watchedFolder(handle)
  passed(name, 'created')
  const [write, sync] = [handle.writeFile.bind(handle), handle.sync.bind(handle)]
  handle.writeFile = async (...data: Parameters<typeof write>) => {
    await write(...data)
    passed(name, 'written')
  }
  handle.sync = async () => {
    await sync()
    passed(name, 'synced')
  }
  return handle
}

function watchedFolder(handle: fs.FileHandle): fs.FileHandle {
  const sync = handle.sync.bind(handle)
  handle.sync = async () => {
    const name = renamed
    renamed = undefined
    await sync()
    passed(name, 'folder_synced')
  }
  return handle
}

fs.rename = async (from, to) => {
  await rename(from, to)
  renamed = target(from)
  passed(renamed, 'renamed')
}

fs.unlink = async (path) => {
  await unlink(path)
  passed(basename(String(path)), 'removed')
}

syncBuiltinESMExports()
