/** The process around us. No other file of the tree but those of lib/runtime touches `process`. */
import process from 'node:process'
import { RuntimeError } from './error.ts'

/** Arguments after the program's own name. */
export function programArguments(): readonly string[] {
  return process.argv.slice(2)
}

export type Environment = Readonly<Record<string, string | undefined>>

/** The environment as it is now. Secrets are never looked for here, only the names of their files. */
export function environment(): Environment {
  return process.env
}

export function processId(): number {
  return process.pid
}

/** The numeric user the process acts as; `undefined` where the system has no such thing. */
export function userId(): number | undefined {
  return process.geteuid?.()
}

export function workingFolder(): string {
  return process.cwd()
}

/** The interpreter that runs us and the flags it was started with: for child processes of the same program. */
export function nodeCommand(): { readonly path: string; readonly flags: readonly string[] } {
  return { path: process.execPath, flags: process.execArgv }
}

/** Bytes of memory the process holds, as the operating system counts them. */
export function residentBytes(): number {
  return process.memoryUsage.rss()
}

/** Sets what the process will answer when it ends. A failure already recorded is not overwritten by 0. */
export function setExitCode(code: number): void {
  if (code === 0 && process.exitCode !== undefined) return
  process.exitCode = code
}

export function exitCode(): number {
  return Number(process.exitCode ?? 0)
}

export function writeOut(text: string): void {
  process.stdout.write(text)
}

export function writeErr(text: string): void {
  process.stderr.write(text)
}

export function isTerminal(stream: 'stdin' | 'stdout' | 'stderr'): boolean {
  return process[stream].isTTY
}

/**
 * Reads standard input to its end.
 *
 * @throws {RuntimeError} `stdin_too_large` past `maxBytes`; the signal's reason when aborted.
 */
export async function readStdin(maxBytes: number, options: { signal?: AbortSignal } = {}): Promise<Buffer> {
  options.signal?.throwIfAborted()
  const abort = () => process.stdin.destroy(options.signal?.reason instanceof Error ? options.signal.reason : undefined)
  options.signal?.addEventListener('abort', abort, { once: true })
  try {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of process.stdin) {
      const bytes = Buffer.from(chunk)
      size += bytes.length
      if (size > maxBytes) throw new RuntimeError('stdin_too_large', `standard input has more than ${maxBytes} bytes`)
      chunks.push(bytes)
    }
    options.signal?.throwIfAborted()
    return Buffer.concat(chunks)
  } finally {
    options.signal?.removeEventListener('abort', abort)
  }
}

/** `vcc … | head`: a reader that has seen enough is no failure, and no stack trace. */
export function surviveClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.listeners('error').includes(onPipeError)) continue
    stream.on('error', onPipeError)
  }
}

function onPipeError(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}
