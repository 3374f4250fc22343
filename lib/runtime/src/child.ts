import { type ChildProcess, spawn } from 'node:child_process'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { environment, nodeCommand } from './host.ts'

/** What a child's module exports: serves the channel, and answers how to close what it opened. */
export type ServeChannel = (channel: Duplex) => () => void

export interface Child {
  readonly process: ChildProcess
  /** To this child and nobody else: a pipe it inherits. What is secret goes this way, never into argv or environment. */
  readonly channel: Duplex
}

/**
 * Starts a process of our own for work that may crash or hang. It imports `module` and calls its `serve`.
 *
 * The child ends when the channel ends, hence with this process, and at once, whatever its threads are at. It outlives
 * the signals that ask a whole group to stop, since its parent may need it while it drains. It prints nowhere but on
 * standard error.
 *
 * @param module  Should import little: every start pays for it.
 */
export function startChild(module: URL, variables: Readonly<Record<string, string>> = {}): Child {
  const child = spawn(nodeCommand().path, [MAIN, module.href], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    env: { ...environment(), ...variables },
  })
  return { process: child, channel: child.stdio[3] as Duplex } // a pipe was asked for
}

const MAIN = fileURLToPath(new URL('./child-main.ts', import.meta.url))
