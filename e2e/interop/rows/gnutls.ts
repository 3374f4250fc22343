import { run } from '../../harness/process.ts'
import { type Check, outcomeOf } from '../check.ts'

export const GNUTLS: readonly Check[] = [
  {
    tool: 'certtool',
    check: '--certificate-info',
    async *run({ path }, { subjects }) {
      for (const { name, certFile } of subjects) {
        yield outcomeOf(name, await run(path, ['--certificate-info', '--infile', certFile]), 'Version: 3')
      }
    },
  },
  {
    tool: 'certtool',
    check: '--verify-chain, the root last',
    async *run({ path }, { subjects }) {
      for (const { name, chainFile } of subjects) {
        const args = ['--verify-chain', '--verify-profile', 'medium', '--infile', chainFile]
        yield outcomeOf(name, await run(path, args), TRUSTED)
      }
    },
  },
  {
    tool: 'certtool',
    check: '--verify against a list of trusted roots',
    async *run({ path }, { subjects }) {
      for (const { name, chainFile, rootFile } of subjects) {
        const args = [
          '--verify',
          '--verify-profile',
          'medium',
          '--load-ca-certificate',
          rootFile,
          '--infile',
          chainFile,
        ]
        yield outcomeOf(name, await run(path, args), TRUSTED)
      }
    },
  },
]

const TRUSTED = /Chain verification output: Verified\. The certificate is trusted\./
