import { describe, expect, test } from 'vitest'
import type { X509Failure } from '../errors.ts'
import { NO_EXTENSIONS } from '../extension/decode.ts'
import type { Extensions } from '../extension/model.ts'
import { OID } from '../oid.ts'
import { refusalOf } from '../testing/refusal.ts'
import { freshBudget } from './budget.ts'
import type { PolicyInputs } from './policy.ts'
import { processPolicies } from './policy.ts'

const ANY = OID.anyPolicy
const [P1, P2, P3, P4] = ['1.2.1', '1.2.2', '1.2.3', '1.2.4'] as const

/** A certificate as policy processing sees it. */
type Spec = Pick<Extensions, 'policyMappings' | 'policyConstraints' | 'inhibitAnyPolicy'> & {
  readonly policies?: readonly string[]
  readonly isSelfIssued?: boolean
}

const bearer = ({ policies, isSelfIssued = false, ...rest }: Spec) => ({
  isSelfIssued,
  extensions: {
    ...NO_EXTENSIONS,
    ...rest,
    ...(policies === undefined ? {} : { certificatePolicies: policies.map((oid) => ({ oid })) }),
  },
})

/** From the CA below the anchor down to the leaf. */
function process(path: readonly Spec[], inputs: PolicyInputs = {}): string[] {
  const [leaf, ...issuers] = path.map(bearer).toReversed()
  if (leaf === undefined) throw new TypeError('a path has a leaf')
  const anchor = bearer({})
  return [...processPolicies({ leaf, issuers, anchor }, inputs, freshBudget())].toSorted()
}

const map = (...pairs: (readonly [string, string])[]): Pick<Spec, 'policyMappings'> => ({
  policyMappings: pairs.map(([issuerDomainPolicy, subjectDomainPolicy]) => ({
    issuerDomainPolicy,
    subjectDomainPolicy,
  })),
})
const explicit = { requireExplicitPolicy: true }
const explicitNow = { policyConstraints: { requireExplicitPolicy: 0 } }
const refused = { fails: 'policy_not_valid' } as const

interface Case {
  readonly name: string
  readonly path: readonly Spec[]
  readonly inputs?: PolicyInputs
  readonly valid?: readonly string[]
  readonly fails?: X509Failure
}

const CASES: readonly Case[] = [
  // §6.1.3 (d)
  { name: 'all assert the same', path: [{ policies: [P1] }, { policies: [P1] }], inputs: explicit, valid: [P1] },
  { name: 'only what all assert is valid', path: [{ policies: [P1, P2] }, { policies: [P2, P3] }], valid: [P2] },
  { name: 'nothing in common', path: [{ policies: [P1] }, { policies: [P2] }], valid: [] },
  {
    name: 'nothing in common, a policy required',
    path: [{ policies: [P1] }, { policies: [P2] }],
    inputs: explicit,
    ...refused,
  },
  { name: 'no policies', path: [{}, {}], valid: [] },
  { name: 'no policies, one required', path: [{}, {}], inputs: explicit, ...refused },
  {
    name: 'no policies in the middle',
    path: [{ policies: [P1] }, {}, { policies: [P1] }],
    inputs: explicit,
    ...refused,
  },
  { name: 'anyPolicy above', path: [{ policies: [ANY] }, { policies: [P1, P2] }], inputs: explicit, valid: [P1, P2] },
  { name: 'anyPolicy below', path: [{ policies: [P1, P2] }, { policies: [ANY] }], inputs: explicit, valid: [P1, P2] },
  { name: 'anyPolicy everywhere', path: [{ policies: [ANY] }, { policies: [ANY] }], inputs: explicit, valid: [ANY] },
  { name: 'anyPolicy beside another', path: [{ policies: [P1] }, { policies: [ANY, P2] }], valid: [P1] },
  {
    name: 'anyPolicy does not bring back what was lost',
    path: [{ policies: [P1] }, { policies: [P2] }, { policies: [ANY] }],
    inputs: explicit,
    ...refused,
  },
  // §6.1.5 (g)
  {
    name: 'the one that is acceptable',
    path: [{ policies: [P1, P2] }, { policies: [P1, P2] }],
    inputs: { ...explicit, acceptable: [P2, P3] },
    valid: [P2],
  },
  {
    name: 'none that is acceptable',
    path: [{ policies: [P1] }, { policies: [P1] }],
    inputs: { ...explicit, acceptable: [P2] },
    ...refused,
  },
  {
    name: 'none that is acceptable, and none required',
    path: [{ policies: [P1] }, { policies: [P1] }],
    inputs: { acceptable: [P2] },
    valid: [],
  },
  {
    name: 'anyPolicy is acceptable in every form',
    path: [{ policies: [ANY] }, { policies: [ANY] }],
    inputs: { ...explicit, acceptable: [P2] },
    valid: [P2],
  },
  {
    name: 'any is acceptable',
    path: [{ policies: [P1] }, { policies: [P1] }],
    inputs: { ...explicit, acceptable: [ANY] },
    valid: [P1],
  },
  // inhibitAnyPolicy
  {
    name: 'anyPolicy inhibited by the caller',
    path: [{ policies: [P1] }, { policies: [ANY] }],
    inputs: { ...explicit, inhibitAnyPolicy: true },
    ...refused,
  },
  {
    name: 'anyPolicy inhibited from the next on',
    path: [{ policies: [P1], inhibitAnyPolicy: 0 }, { policies: [ANY] }],
    inputs: explicit,
    ...refused,
  },
  {
    name: 'anyPolicy inhibited one later',
    path: [{ policies: [P1], inhibitAnyPolicy: 1 }, { policies: [ANY] }, { policies: [P1] }],
    inputs: explicit,
    valid: [P1],
  },
  {
    name: 'anyPolicy of a self-issued CA',
    path: [{ policies: [P1], inhibitAnyPolicy: 0 }, { policies: [ANY], isSelfIssued: true }, { policies: [P1] }],
    inputs: explicit,
    valid: [P1],
  },
  {
    name: 'anyPolicy of a self-issued leaf',
    path: [
      { policies: [P1], inhibitAnyPolicy: 0 },
      { policies: [ANY], isSelfIssued: true },
    ],
    inputs: explicit,
    ...refused,
  },
  {
    name: 'a higher value does not lift a lower one',
    path: [{ policies: [P1], inhibitAnyPolicy: 0 }, { policies: [P1], inhibitAnyPolicy: 9 }, { policies: [ANY] }],
    inputs: explicit,
    ...refused,
  },
  // requireExplicitPolicy
  { name: 'required by a CA at once', path: [{ policies: [P1], ...explicitNow }, { policies: [P2] }], ...refused },
  { name: 'required by the leaf itself', path: [{}, { ...explicitNow }], ...refused },
  {
    name: 'required two below, and there are not two',
    path: [{ policyConstraints: { requireExplicitPolicy: 2 } }, {}],
    valid: [],
  },
  {
    name: 'required one below, and there is one',
    path: [{ policyConstraints: { requireExplicitPolicy: 1 } }, {}],
    ...refused,
  },
  {
    name: 'a self-issued CA does not count',
    path: [{ policyConstraints: { requireExplicitPolicy: 2 } }, { isSelfIssued: true }, {}],
    valid: [],
  },
  // Mappings
  {
    name: 'a mapped policy',
    path: [{ policies: [P1], ...map([P1, P2]) }, { policies: [P2] }],
    inputs: explicit,
    valid: [P1],
  },
  {
    name: 'a mapped policy is no longer itself',
    path: [{ policies: [P1], ...map([P1, P2]) }, { policies: [P1] }],
    inputs: explicit,
    ...refused,
  },
  {
    name: 'mapped to two',
    path: [{ policies: [P1], ...map([P1, P2], [P1, P3]) }, { policies: [P3] }],
    inputs: explicit,
    valid: [P1],
  },
  {
    name: 'two mapped to one',
    path: [{ policies: [P1, P2], ...map([P1, P3], [P2, P3]) }, { policies: [P3] }],
    inputs: explicit,
    valid: [P1, P2],
  },
  {
    name: 'mapped twice',
    path: [{ policies: [P1], ...map([P1, P2]) }, { policies: [P2], ...map([P2, P3]) }, { policies: [P3] }],
    inputs: explicit,
    valid: [P1],
  },
  {
    name: 'mapped from what anyPolicy stands for',
    path: [{ policies: [ANY], ...map([P1, P2]) }, { policies: [P2] }],
    inputs: explicit,
    valid: [P1],
  },
  {
    name: 'a policy that is not asserted is not mapped',
    path: [{ policies: [P4], ...map([P1, P2]) }, { policies: [P2] }],
    inputs: explicit,
    ...refused,
  },
  {
    name: 'mapping inhibited by the caller',
    path: [{ policies: [P1], ...map([P1, P2]) }, { policies: [P2] }],
    inputs: { ...explicit, inhibitPolicyMapping: true },
    ...refused,
  },
  {
    name: 'mapping inhibited by a CA',
    path: [
      { policies: [P1], policyConstraints: { inhibitPolicyMapping: 0 } },
      { policies: [P1], ...map([P1, P2]) },
      { policies: [P2] },
    ],
    inputs: explicit,
    ...refused,
  },
  {
    name: 'mapping inhibited one later',
    path: [
      { policies: [P1], policyConstraints: { inhibitPolicyMapping: 1 } },
      { policies: [P1], ...map([P1, P2]) },
      { policies: [P2] },
    ],
    inputs: explicit,
    valid: [P1],
  },
  {
    name: 'what is not mapped stays where mapping is inhibited',
    path: [{ policies: [P1, P2], ...map([P1, P3]) }, { policies: [P2, P3] }],
    inputs: { ...explicit, inhibitPolicyMapping: true },
    valid: [P2],
  },
  {
    name: 'a mapping from anyPolicy',
    path: [{ policies: [ANY], ...map([ANY, P2]) }, { policies: [P2] }],
    fails: 'policy_mapping_invalid',
  },
  {
    name: 'a mapping to anyPolicy',
    path: [{ policies: [P1], ...map([P1, ANY]) }, { policies: [P2] }],
    fails: 'policy_mapping_invalid',
  },
  {
    name: 'a mapping of the leaf is not looked at',
    path: [{ policies: [P1] }, { policies: [P1], ...map([ANY, P2]) }],
    valid: [P1],
  },
]

describe('policies', () => {
  test.each(CASES)('$name', ({ path, inputs, valid, fails }) => {
    expect(refusalOf(() => process(path, inputs))).toBe(fails)
    if (valid !== undefined) expect(process(path, inputs)).toEqual(valid)
  })

  test('what a tree would take 5^14 nodes for takes a graph of a few hundred edges', () => {
    const policies = ['1.2.1', '1.2.2', '1.2.3', '1.2.4', '1.2.5']
    const everyToEvery = map(...policies.flatMap((from) => policies.map((to) => [from, to] as const)))
    const ca = { policies, ...everyToEvery }
    const budget = freshBudget()
    const [leaf, ...issuers] = [...Array.from({ length: 14 }, () => ca), { policies }].map(bearer).toReversed()
    if (leaf === undefined) throw new TypeError('a path has a leaf')
    const valid = processPolicies({ leaf, issuers, anchor: bearer({}) }, explicit, budget)
    expect([...valid].toSorted()).toEqual(policies)
    expect(freshBudget().edges - budget.edges).toBeLessThan(1000)
  })

  test('a graph has an end', () => {
    const many = Array.from({ length: 70 }, (_, i) => `1.2.${i}`)
    const ca = { policies: many, ...map(...many.flatMap((from) => many.map((to) => [from, to] as const))) }
    const tooMany: Case = { name: '', path: [ca, { policies: many }], fails: 'policy_budget_exceeded' }
    expect(refusalOf(() => process(tooMany.path))).toBe(tooMany.fails)
  })
})
