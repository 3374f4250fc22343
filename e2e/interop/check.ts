import type { Finished } from '../harness/process.ts'
import type { Material } from './material.ts'
import type { Tool, ToolName } from './tool.ts'

/** One program and what it is asked; each outcome is a line. */
export interface Check {
  readonly tool: ToolName
  readonly check: string
  readonly run: (tool: Tool, material: Material) => AsyncIterable<Outcome>
}

export interface Outcome {
  /** What it was asked about. */
  readonly of: string
  /** What it said against it; nothing when it took it. */
  readonly failed?: string
  /** What it said that `docs/divergences.md` answers. */
  readonly known?: readonly string[]
}

/** The outcome of a command that ends with 0 when it is content. `says` is a word that its output then has. */
export function outcomeOf(of: string, { code, stdout, stderr }: Finished, says?: string | RegExp): Outcome {
  const text = `${stdout}\n${stderr}`
  const isContent =
    code === 0 && (says === undefined || (typeof says === 'string' ? text.includes(says) : says.test(text)))
  return isContent ? { of } : { of, failed: `exit ${code}\n${text.trim()}` }
}

/** The reverse: a command that must not be content. */
export function refusalOf(of: string, { code, stdout, stderr }: Finished): Outcome {
  return code === 0 ? { of, failed: `it was content\n${stdout}\n${stderr}` } : { of }
}
