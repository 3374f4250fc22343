import * as fc from 'fast-check'
import { type ClassName, className } from './class-name.ts'
import { compile } from './compile.ts'
import type { CompiledPolicy } from './compiled.ts'
import type { Call } from './decide.ts'
import { HOME, matrixOf } from './fixtures.ts'
import { registeredOnly } from './registered.ts'
import { parseWorkloadId, type WorkloadId, type WorkloadParts, workloadId } from './workload-id.ts'

// Small meshes for property tests: two organisations over a handful of names, so that everything meets everything.

const NAMES = ['a', 'ab', 'b', 'a-db', 'b-db'] as const
const ORGANIZATIONS = ['brandenburg', 'partner'] as const
const WILDCARDS = ['a*', '*-db', '*b', 'a-*'] as const
const PRESENTED: readonly ClassName[] = ['one', 'two', 'three'].map(className)

export interface Mesh {
  readonly brandenburg: Services
  readonly partner: Services
  /** `organisation/service`. */
  readonly externals: readonly string[]
  /** `organisation/service`: has an entry perhaps, and is registered nowhere. */
  readonly unregistered: readonly string[]
  /** Names of the home organisation whose peers accept `two` as well. */
  readonly changing: readonly string[]
}

export type Services = Readonly<Record<string, Fields>>

export interface Fields {
  readonly allowed_outbound?: readonly string[]
  readonly required_auth?: string
  readonly isolation_level?: string
  readonly special_permissions?: readonly string[]
}

export const mesh: fc.Arbitrary<Mesh> = fc.record({
  brandenburg: services('partner'),
  partner: services('brandenburg'),
  externals: fc.subarray(
    ORGANIZATIONS.flatMap((organization) => NAMES.map((name) => `${organization}/${name}`)),
    { maxLength: 3 },
  ),
  unregistered: fc.subarray(
    ORGANIZATIONS.flatMap((organization) => NAMES.map((name) => `${organization}/${name}`)),
    { maxLength: 2 },
  ),
  changing: fc.subarray([...NAMES]),
})

const WORKLOADS: readonly WorkloadId[] = ORGANIZATIONS.flatMap((organization) =>
  [...NAMES, 'nobody'].map((name) => workloadId(HOME.trustDomain, organization, name)),
)

/** Every call there can be in such a mesh. */
export const CALLS: readonly Call[] = WORKLOADS.flatMap((source) =>
  WORKLOADS.flatMap((target) =>
    PRESENTED.flatMap((sourceClass) =>
      [...PRESENTED, 'no-certificate' as const].map((targetClass) => ({ source, sourceClass, target, targetClass })),
    ),
  ),
)

export const workload: fc.Arbitrary<WorkloadId> = fc.constantFrom(...WORKLOADS)

/** JSON is YAML, so meshes go the way of any file. */
export function compiled(each: Mesh): CompiledPolicy {
  const text = (entries: Services) => JSON.stringify({ service_communication_policies: entries })
  const policy = compile({
    trustDomain: HOME.trustDomain,
    version: 1,
    matrices: ORGANIZATIONS.map((organization) => matrixOf(text(each[organization]), organization)),
    externals: each.externals.map((name) => {
      const [organization = '', service = ''] = name.split('/')
      return { organization, service }
    }),
    alsoAccepted: Object.fromEntries(
      each.changing.map((name) => [workloadId(HOME.trustDomain, 'brandenburg', name), [className('two')]]),
    ),
  })
  const isThere = ({ organization, service }: WorkloadParts) =>
    !each.unregistered.includes(`${organization}/${service}`)
  return registeredOnly(policy, new Set(WORKLOADS.filter((one) => isThere(parseWorkloadId(one)))))
}

function services(other: string): fc.Arbitrary<Services> {
  const own = fc.record(
    {
      required_auth: fc.constantFrom('one', 'two'),
      allowed_outbound: fc.subarray([...NAMES, 'nobody', ...WILDCARDS, ...NAMES.map((name) => `${other}/${name}`)]),
      isolation_level: fc.constantFrom('high', 'standard'),
      special_permissions: fc.subarray(['read', 'write']),
    },
    { requiredKeys: ['required_auth'] },
  )
  const foreign = fc.record(
    {
      required_auth: fc.constantFrom('one', 'two'),
      allowed_outbound: fc.subarray([...NAMES, 'nobody', ...WILDCARDS]),
    },
    { requiredKeys: [] },
  )
  return fc
    .tuple(
      fc.dictionary(fc.constantFrom(...NAMES), own, { noNullPrototype: true }),
      fc.dictionary(
        fc.constantFrom(...NAMES, 'nobody').map((name) => `${other}/${name}`),
        foreign,
        { noNullPrototype: true },
      ),
    )
    .map(([owned, admitted]) => ({ ...owned, ...admitted }))
}
