import { readFileSync } from 'node:fs'
import { type ClassName, className } from './class-name.ts'
import { type CompileInput, compile } from './compile.ts'
import type { CompiledPolicy } from './compiled.ts'
import type { Matrix } from './matrix.ts'
import { parseMatrix } from './parse.ts'
import { resolveWorkload, type WorkloadId } from './workload-id.ts'

// What the tests of this package share. Nothing else imports it.

export const HOME = { trustDomain: 'vcc.internal', organization: 'brandenburg' }

/** The matrix of the source documents, verbatim. */
export const SOURCE = testdata('source.yml')

export const CLASSES = {
  argus: className('mtls_certificate'),
  covina: className('management_core_certificate'),
  clara: className('ai_processing_certificate'),
  veritas: className('orchestrator_certificate'),
  vpb: className('ui_service_certificate'),
} as const satisfies Record<string, ClassName>

export function testdata(name: string): string {
  return readFileSync(new URL(`../testdata/${name}`, import.meta.url), 'utf8')
}

export function matrixOf(text: string, organization: string = HOME.organization): Matrix {
  const result = parseMatrix(text, { organization })
  if (result.ok) return result.matrix
  throw new Error(result.problems.map(({ line, column, code }) => `${line}:${column} ${code}`).join('\n'))
}

/** A whole policy of the home organisation alone. */
export function policyOf(text: string, more: Partial<CompileInput> = {}): CompiledPolicy {
  return compile({ trustDomain: HOME.trustDomain, version: 1, matrices: [matrixOf(text)], ...more })
}

export function id(name: string): WorkloadId {
  return resolveWorkload(name, HOME)
}
