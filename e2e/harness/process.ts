import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { COMPILE_CACHE } from './paths.ts'

export interface ProcessOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** Standard output and error go here, both; nothing is lost when a test fails. */
  readonly logFile: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export interface RunningProcess extends AsyncDisposable {
  readonly name: string
  readonly pid: number
  readonly exited: Promise<number | NodeJS.Signals>
  readonly hasExited: () => boolean
  readonly output: () => string
  /** Sends the signal and waits for the end. SIGKILL follows after 20 s. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<number | NodeJS.Signals>
  readonly signal: (signal: NodeJS.Signals) => void
}

const living = new Set<ChildProcess>()

// Whatever ends a test run, nothing stays behind.
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})
// SIGALRM is how tap ends a file that takes too long.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGALRM'] as const) {
  process.once(signal, () => {
    for (const child of living) child.kill('SIGKILL')
    process.exit(130)
  })
}

const KEPT_OUTPUT = 1024 * 1024
/** A third of what a command costs is the reading of its sources; a suite starts hundreds. */
const COMPILED = { NODE_COMPILE_CACHE: COMPILE_CACHE }

export function start(options: ProcessOptions): RunningProcess {
  const log = createWriteStream(options.logFile, { flags: 'a' })
  const child = spawn(options.command, options.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...COMPILED, ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  living.add(child)
  let kept = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      log.write(chunk)
      kept = (kept + chunk.toString('utf8')).slice(-KEPT_OUTPUT)
    })
  }
  let ended = false
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null) => {
      ended = true
      living.delete(child)
      log.end()
      resolve(code ?? signal ?? 1)
    }
    child.once('close', end)
    child.once('error', (error) => {
      kept += String(error)
      end(127, null)
    })
  })
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (ended) return exited
    child.kill(signal)
    const force = setTimeout(() => child.kill('SIGKILL'), 20_000)
    const outcome = await exited
    clearTimeout(force)
    return outcome
  }
  return {
    name: options.name,
    pid: child.pid ?? -1,
    exited,
    hasExited: () => ended,
    output: () => kept,
    stop,
    signal: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end. Never throws for an exit code: that is what callers look at. */
export async function run(
  command: string,
  args: readonly string[],
  options: { env?: Readonly<Record<string, string>>; input?: string; cwd?: string; timeoutMs?: number } = {},
): Promise<Finished> {
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...COMPILED, ...process.env, ...options.env },
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  living.add(child)
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString('utf8')))
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString('utf8')))
  child.stdin.on('error', () => {}) // a command that reads nothing closes its input first
  child.stdin.end(options.input ?? '')
  const [code] = (await once(child, 'close')) as [number | null]
  living.delete(child)
  return { code: code ?? 137, ...output }
}

/** Command lines of the processes of this machine that contain `part`. */
export async function commandLinesWith(part: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map(async (pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return lines.map((line) => line.replaceAll('\0', ' ').trim()).filter((line) => line.includes(part))
}

/** Asks again until the answer is not undefined or false. The deadline is generous on purpose: tests assert no times. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  deadlineMs = 60_000,
): Promise<T> {
  const until = Date.now() + deadlineMs
  let last: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false) return answer
    } catch (error) {
      last = error
    }
    if (Date.now() > until) {
      throw new Error(`not seen within ${deadlineMs / 1000} s: ${what}`, { cause: last })
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
