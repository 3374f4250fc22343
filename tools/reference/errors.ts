import { AGENT_FAILURES, PROXY_REFUSALS } from '@vcc/agent'
import { PROBLEMS } from '@vcc/api'
import { BROKER_FAILURES, DATABASE_FAILURES } from '@vcc/control-plane'
import { KEY_FAILURES } from '@vcc/keys'
import { MESH_FAILURES } from '@vcc/mesh'
import { REFUSALS } from '@vcc/ocsp'
import { DENIALS, PROBLEMS as MATRIX_PROBLEMS, POLICY_FAILURES } from '@vcc/policy'
import { RUNTIME_FAILURES } from '@vcc/runtime'
import { X509_FAILURES } from '@vcc/x509'
import { type Column, markdownTable } from './markdown.ts'

/** What a table says about one code. */
type Facts = Readonly<Record<string, string | number | boolean>>

/** One closed table of failure codes, as a package exports it. */
export interface ErrorTable {
  /** The class that carries the codes. */
  readonly error: string
  readonly package: string
  /** Who sees these codes, in one sentence. */
  readonly seenBy: string
  readonly codes: Readonly<Record<string, Facts>>
}

/** Every closed table of failure codes in the product. A package that adds one adds a row. */
const ERROR_TABLES: readonly ErrorTable[] = [
  {
    error: 'ApiProblem',
    package: '@vcc/api',
    seenBy: 'Every caller of the HTTP API, as `code` of an RFC 9457 problem document.',
    codes: PROBLEMS,
  },
  {
    error: 'Denial',
    package: '@vcc/policy',
    seenBy: 'Callers and operators: why the matrix refuses a call.',
    codes: meaning(DENIALS),
  },
  {
    error: 'Problem',
    package: '@vcc/policy',
    seenBy: 'Who writes a matrix: `errors[].code` of `policy_invalid`, with line and column.',
    codes: meaning(MATRIX_PROBLEMS),
  },
  {
    error: 'Refusal',
    package: '@vcc/agent',
    seenBy:
      'Callers: the refusal record between agents, and `code` of the problem document a service gets. The numbers are the HTTP status when the refusing agent stands beside the caller or the callee.',
    codes: Object.fromEntries(Object.entries(PROXY_REFUSALS).map(([code, wire]) => [code, { ...wire }])),
  },
  {
    error: 'AgentError',
    package: '@vcc/agent',
    seenBy: 'Operators of an agent, on the command line and in its log.',
    codes: Object.fromEntries(
      Object.entries(AGENT_FAILURES).map(([code, { exit, hint }]) => [code, { exit, hint: hint ?? '' }]),
    ),
  },
  {
    error: 'PolicyError',
    package: '@vcc/policy',
    seenBy: 'Operators: names and compiled policies that cannot be.',
    codes: meaning(POLICY_FAILURES),
  },
  {
    error: 'MeshError',
    package: '@vcc/mesh',
    seenBy: 'Operators, in logs and metrics of both sides: signed state and messages that are refused.',
    codes: MESH_FAILURES,
  },
  {
    error: 'X509Error',
    package: '@vcc/x509',
    seenBy: 'Operators, as the reason why a certificate, a path or a CSR is refused; with the TLS alert for it.',
    codes: X509_FAILURES,
  },
  {
    error: 'DatabaseError',
    package: '@vcc/control-plane',
    seenBy: 'Operators of the control plane: on the command line and in its log.',
    codes: Object.fromEntries(
      Object.entries(DATABASE_FAILURES).map(([code, { meaning: means, hint }]) => [code, { means, hint: hint ?? '' }]),
    ),
  },
  {
    error: 'OcspRefusal',
    package: '@vcc/ocsp',
    seenBy: 'Clients, as the OCSP error beside it; operators, as the `reason` of `vcc_ocsp_refusals_total`.',
    codes: REFUSALS,
  },
  {
    error: 'KeyError',
    package: '@vcc/keys',
    seenBy: 'Operators of the control plane: keys and the key store.',
    codes: meaning(KEY_FAILURES),
  },
  {
    error: 'BrokerError',
    package: '@vcc/control-plane',
    seenBy: 'Operators of the control plane, in its log: the certificate of an external broker.',
    codes: meaning(BROKER_FAILURES),
  },
  {
    error: 'RuntimeError',
    package: '@vcc/runtime',
    seenBy: 'Everybody at a command line: files, secrets, deadlines.',
    codes: meaning(RUNTIME_FAILURES),
  },
]

/** A table whose rows are one sentence each. */
function meaning(codes: Readonly<Record<string, string>>): ErrorTable['codes'] {
  return Object.fromEntries(Object.entries(codes).map(([code, means]) => [code, { meaning: means }]))
}

export function renderErrorTables(): string {
  const sections = ERROR_TABLES.map(
    ({ error, package: name, seenBy, codes }) =>
      `\n## ${error} (\`${name}\`)\n\n${seenBy}\n\n${markdownTable(columnsOf(codes), Object.entries(codes))}`,
  )
  return `# Failure codes\n\nCodes are stable: programs may depend on them. The texts beside them may change.\n${sections.join('')}`
}

/** The code, then every fact that any row states, in the order of first appearance. */
function columnsOf(codes: ErrorTable['codes']): Column<[string, Facts]>[] {
  const facts = [...new Set(Object.values(codes).flatMap((row) => Object.keys(row)))]
  return [
    { title: 'code', cell: ([code]) => `\`${code}\`` },
    ...facts.map((fact) => ({
      title: fact,
      cell: ([, row]: [string, Facts]) => String(row[fact] ?? ''),
    })),
  ]
}
