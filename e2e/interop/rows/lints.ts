import { run } from '../../harness/process.ts'
import type { Check, Outcome } from '../check.ts'
import type { Subject } from '../material.ts'

/**
 * CA/Browser rules are left out: they do not apply to a private mesh. RFC 6960 has one rule in zlint 3.6.8, about OCSP
 * responses, and `-includeSources` refuses the name.
 */
const SOURCES = ['RFC3279', 'RFC5280', 'RFC5480', 'RFC5891', 'RFC8813']

export const LINTS: readonly Check[] = [
  {
    tool: 'zlint',
    check: `-includeSources ${SOURCES.join(',')}`,
    async *run({ path }, { subjects }) {
      for (const { name, certFile } of subjects) {
        const { code, stdout, stderr } = await run(path, ['-includeSources', SOURCES.join(','), certFile])
        yield code === 0 ? judged(name, complaintsOf(stdout)) : { of: name, failed: `exit ${code}\n${stderr}` }
      }
    },
  },
  {
    tool: 'pkilint',
    check: 'lint_pkix_cert',
    async *run({ path }, { subjects }) {
      for (const subject of subjects) {
        const { stdout, stderr } = await run(path, ['lint', '-s', 'ERROR', '-f', 'JSON', subject.certFile])
        yield judgedByPkilint(subject, stdout, stderr)
      }
    },
  },
]

function complaintsOf(json: string): string[] {
  const results = Object.entries(JSON.parse(json) as Record<string, { result: string; details?: string }>)
  if (results.length === 0) return ['it asked nothing']
  return results
    .filter(([, { result }]) => result === 'error' || result === 'fatal')
    .map(([lint, { result, details = '' }]) => `${result} ${lint} ${details}`)
}

function judged(of: string, complaints: readonly string[]): Outcome {
  return complaints.length === 0 ? { of } : { of, failed: complaints.join('\n') }
}

interface PkilintReport {
  readonly results: readonly {
    readonly node_path: string
    readonly finding_descriptions: readonly { code: string; severity: string; message?: string | null }[]
  }[]
}

function judgedByPkilint(subject: Subject, stdout: string, stderr: string): Outcome {
  let report: PkilintReport
  try {
    report = JSON.parse(stdout) as PkilintReport
  } catch {
    return { of: subject.name, failed: `no report\n${stderr}` }
  }
  const findings = report.results.flatMap(({ node_path: path, finding_descriptions: found }) =>
    found.map(({ code, message }) => ({ code, path, message: message ?? '' })),
  )
  const isKnown = (finding: Finding) => KNOWN.some((row) => row.code === finding.code && row.is(finding, subject))
  const unknown = findings.filter((finding) => !isKnown(finding))
  const known = findings.filter(isKnown).map(({ code }) => code)
  if (unknown.length > 0) {
    return {
      of: subject.name,
      failed: unknown.map(({ code, path, message }) => `${code} ${path} ${message}`).join('\n'),
    }
  }
  return known.length > 0 ? { of: subject.name, known: [...new Set(known)] } : { of: subject.name }
}

interface Finding {
  readonly code: string
  readonly path: string
  readonly message: string
}

/** What pkilint 0.13 says that is not so; why is in docs/divergences.md, under RFC 5280. */
const KNOWN: readonly { readonly code: string; readonly is: (finding: Finding, subject: Subject) => boolean }[] = [
  {
    code: 'pkix.invalid_uri_syntax',
    is: ({ path, message }) => path.includes('.subjectAltName.') && message.includes('"spiffe://'),
  },
  {
    code: 'pkix.invalid_email_address_syntax',
    is: ({ path, message }) => path.includes('.nameConstraints.') && message.includes('"invalid"'),
  },
  {
    code: 'pkix.authority_key_identifier_extension_absent',
    is: (_finding, { name, profile }) => name.startsWith('RSA') && profile.endsWith('-root'),
  },
]
