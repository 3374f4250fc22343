import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, indexPolicy, POLICY_FAILURES, PolicyError, PROBLEMS, parseCompiled, parseMatrix } from '@vcc/policy'
import { MATRIX_FILE, ROOT_FOLDER } from '../../harness/paths.ts'
import { mutateJson } from '../mutate/json.ts'
import { mutateText } from '../mutate/text.ts'
import { FuzzFault, judge, type Target, type Verdict } from '../target.ts'

const POLICY = { error: PolicyError, codes: POLICY_FAILURES }
const read = (path: string): string => readFileSync(join(ROOT_FOLDER, path), 'utf8')

export const POLICY_TARGETS: readonly Target[] = [
  {
    name: 'matrix',
    prepare() {
      const texts = [readFileSync(MATRIX_FILE, 'utf8'), ...ACCEPTED.map((name) => read(`policy/testdata/${name}`))]
      return (random, note) => {
        const text = mutateText(texts, YAML_WORDS, random)
        note(text)
        let verdict: Verdict = 'refused'
        judge(() => (verdict = parsed(text)), POLICY)
        return verdict
      }
    },
  },
  {
    name: 'compiled-policy',
    prepare() {
      const value: unknown = JSON.parse(read('policy/testdata/source.compiled.json'))
      return (random, note) => {
        const changed = mutateJson(value, random)
        note(JSON.stringify(changed))
        return judge(() => indexPolicy(parseCompiled(changed)), POLICY)
      }
    },
  },
]

/** A text is either a matrix that compiles, or a list of problems with codes of the table; it never throws. */
function parsed(text: string): Verdict {
  const result = parseMatrix(text, { organization: 'brandenburg', known: [] })
  if (result.ok) {
    compile({ trustDomain: 'vcc.internal', version: 1, matrices: [result.matrix] })
    return 'taken'
  }
  if (result.problems.length === 0) throw new FuzzFault('it was refused without a problem')
  const foreign = result.problems.find(({ code }) => !Object.hasOwn(PROBLEMS, code))
  if (foreign !== undefined) throw new FuzzFault(`a problem with the code ${foreign.code}`)
  return 'refused'
}

const ACCEPTED = [
  'source.yml',
  'accepted/endpoints.yml',
  'accepted/foreign.yml',
  'accepted/json.yml',
  'accepted/wildcards.yml',
  'accepted/windows-line-ends-and-bom.yml',
] as const
const YAML_WORDS = [
  ':',
  ': ',
  '- ',
  '[',
  ']',
  '{',
  '}',
  ',',
  '"',
  "'",
  '#',
  '&a ',
  '*a',
  '!!map ',
  '!',
  '|',
  '>',
  '%YAML 1.1\n',
  '---\n',
  '...\n',
  '? ',
  '\n',
  '\r',
  '\t',
  '  ',
  '<<: ',
  '*',
  '/',
  '_',
  'null',
  '~',
  '1e999',
  '__proto__',
  'partner/',
  '\u0000',
  '\ufeff',
  '\ud800',
  '\u2028',
  'allowed_outbound: [covina]\n',
  'isolation_level: high\n',
  'service_communication_policies:\n',
] as const
