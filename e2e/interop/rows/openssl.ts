import { readFile } from 'node:fs/promises'
import { run } from '../../harness/process.ts'
import { type Check, outcomeOf, refusalOf } from '../check.ts'

export const OPENSSL: readonly Check[] = [
  {
    tool: 'openssl',
    check: 'x509 -text, and out again octet for octet',
    async *run({ path }, { subjects }) {
      for (const { name, derFile } of subjects) {
        const text = await run(path, [
          'x509',
          '-inform',
          'DER',
          '-in',
          derFile,
          '-noout',
          '-text',
          '-certopt',
          'ext_error',
        ])
        const out = `${derFile}.openssl`
        const again = await run(path, ['x509', '-inform', 'DER', '-in', derFile, '-outform', 'DER', '-out', out])
        const isSame = again.code === 0 && Buffer.compare(await readFile(out), await readFile(derFile)) === 0
        yield isSame ? outcomeOf(name, text, 'Version: 3') : { of: name, failed: 'it writes other octets than it read' }
      }
    },
  },
  {
    tool: 'openssl',
    check: 'verify -x509_strict',
    async *run({ path }, { subjects }) {
      for (const { name, certFile, chain, intermediatesFile, rootFile } of subjects) {
        const untrusted = chain.length > 2 ? ['-untrusted', intermediatesFile] : []
        const args = [
          'verify',
          '-x509_strict',
          '-check_ss_sig',
          '-no-CApath',
          '-no-CAstore',
          '-CAfile',
          rootFile,
          ...untrusted,
        ]
        yield outcomeOf(name, await run(path, [...args, certFile]), ': OK')
      }
    },
  },
  {
    tool: 'openssl',
    check: 'verify, under the root of another installation: refused',
    async *run({ path }, { subjects }) {
      for (const subject of subjects) {
        const other = subjects.find(({ profile, name }) => profile === subject.profile && name !== subject.name)
        if (other === undefined) continue
        const untrusted = subject.chain.length > 2 ? ['-untrusted', subject.intermediatesFile] : []
        const args = ['verify', '-x509_strict', '-no-CApath', '-no-CAstore', '-CAfile', other.rootFile, ...untrusted]
        yield refusalOf(subject.name, await run(path, [...args, subject.certFile]))
      }
    },
  },
]
