import { join } from 'node:path'
import { run } from '../../harness/process.ts'
import type { Check } from '../check.ts'

const PROGRAM = join(import.meta.dirname, 'CertPath.java')

export const JAVA: readonly Check[] = [
  {
    tool: 'java',
    check: 'CertPathValidator PKIX',
    async *run({ path }, { subjects }) {
      const files = subjects.map(({ chainFile }) => chainFile)
      const { stdout, stderr } = await run(path, [PROGRAM, ...files], { timeoutMs: 300_000 })
      const lines = new Map(stdout.split('\n').map((line) => [line.split('\t')[1], line]))
      for (const { name, chainFile } of subjects) {
        const line = lines.get(chainFile)
        yield line?.startsWith('ok\t') === true ? { of: name } : { of: name, failed: line ?? stderr }
      }
    },
  },
]
