import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ChildOptions {
  readonly cwd?: string
  /** Added to what this process has. */
  readonly env?: Readonly<Record<string, string>>
  readonly deadlineMs: number
  readonly signal: AbortSignal
  /** Gets everything the child writes; without it the child writes where this process writes. */
  readonly onOutput?: (text: string) => void
  /** Gets standard output alone; standard error goes where this process writes. */
  readonly onStdout?: (text: string) => void
}

export interface ChildResult {
  /** Exit status 0, before the deadline, not interrupted, and nothing left running. */
  readonly clean: boolean
  /** What was not clean, in words. */
  readonly why?: string
}

/**
 * Runs a command in a process group of its own and ends with nothing of that group left:
 * on abort and at the deadline the group gets SIGTERM, after 5 s SIGKILL.
 * A child that exits but leaves processes behind is not clean.
 */
export async function runChild(command: string, args: readonly string[], options: ChildOptions): Promise<ChildResult> {
  const { signal, deadlineMs, onOutput, onStdout } = options
  if (signal.aborted) return { clean: false, why: 'interrupted' }

  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    detached: true,
    stdio: ['ignore', onOutput || onStdout ? 'pipe' : 'inherit', onOutput ? 'pipe' : 'inherit'],
  })
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (onOutput ?? onStdout)?.(text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => onOutput?.(text))

  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, killedBy) => resolve(code === 0 ? undefined : `exit status ${code ?? killedBy}`))
  })
  const drained = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const stop = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)])
  const stopped = new Promise<string>((resolve) => {
    const say = () => resolve(signal.aborted ? 'interrupted' : `no end within ${deadlineMs / 1000} s`)
    stop.addEventListener('abort', say, { once: true })
  })

  const why = await Promise.race([ended, stopped])
  const leftBehind = child.pid !== undefined && (await endGroup(child.pid, stop.aborted ? 0 : 500))
  await Promise.race([drained, sleep(2_000, undefined, { ref: false })])
  if (why !== undefined) return { clean: false, why }
  return leftBehind ? { clean: false, why: 'left processes running' } : { clean: true }
}

/** True if something of the group still ran after `graceMs`. */
async function endGroup(groupId: number, graceMs: number): Promise<boolean> {
  if (await groupGone(groupId, graceMs)) return false
  signalGroup(groupId, 'SIGTERM')
  if (!(await groupGone(groupId, 5_000))) signalGroup(groupId, 'SIGKILL')
  return true
}

async function groupGone(groupId: number, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs
  while (isRunning(groupId)) {
    if (Date.now() >= deadline) return false
    await sleep(20)
  }
  return true
}

/** A group of zombies counts as gone: in a container nobody may be there to reap them. */
function isRunning(groupId: number): boolean {
  if (!signalGroup(groupId, 0)) return false
  return readdirSync('/proc').some((pid) => /^\d+$/.test(pid) && isLivingMember(pid, groupId))
}

function isLivingMember(pid: string, groupId: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // proc(5): pid (name) state ppid pgrp …; the name may hold anything, so from the last parenthesis on.
    const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(group) === groupId && state !== 'Z' && state !== 'X'
  } catch {
    return false // ended while we looked
  }
}

/** False if the group has no process any more. */
function signalGroup(groupId: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-groupId, name)
    return true
  } catch {
    return false
  }
}
