import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Call, decide, decideDial } from './decide.ts'
import { DENIALS } from './deny.ts'
import { diff, isUnchanged } from './diff.ts'
import { explain } from './explain.ts'
import { formatDiff } from './format-diff.ts'
import { CALLS, compiled, type Fields, type Mesh, mesh, type Services, workload } from './meshes.ts'
import { allows } from './oracle.ts'
import { parseCompiled } from './parse-compiled.ts'
import { indexPolicy } from './policy-index.ts'
import { samePolicy, slice } from './slice.ts'
import { parseWorkloadId } from './workload-id.ts'

const RUNS = { numRuns: 100 }

test('decide says what the files say, read naively', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(mesh, (each) => {
      const index = indexPolicy(compiled(each))
      const wrong = CALLS.filter((one) => {
        const decision = decide(index, one)
        seen.add(decision.allowed ? kindOf(one) : decision.code)
        return decision.allowed !== allows(each, one)
      })
      expect(wrong).toEqual([])
    }),
    RUNS,
  )
  // Or the meshes prove nothing.
  expect(seen).toEqual(new Set([...Object.keys(DENIALS), 'within', 'across', 'external']))
})

function kindOf({ source, target, targetClass }: Call): string {
  if (targetClass === 'no-certificate') return 'external'
  return parseWorkloadId(source).organization === parseWorkloadId(target).organization ? 'within' : 'across'
}

/** Calls that `after` allows and `before` does not. */
function gained(before: Mesh, after: Mesh): readonly Call[] {
  const [old, now] = [indexPolicy(compiled(before)), indexPolicy(compiled(after))]
  return CALLS.filter((one) => decide(now, one).allowed && !decide(old, one).allowed)
}

describe('deny by default: nothing more is allowed', () => {
  test('without an item of allowed_outbound', () => {
    fc.assert(
      fc.property(mesh, fc.nat(), (each, which) => {
        expect(gained(each, withoutItem(each, which))).toEqual([])
      }),
      RUNS,
    )
  })

  test('without an entry', () => {
    // An external service is one with and without an entry, and an entry with isolation high closes it.
    const meshOnly = mesh.map((each) => ({ ...each, externals: [] }))
    fc.assert(
      fc.property(meshOnly, fc.nat(), (each, which) => {
        expect(gained(each, withoutEntry(each, which))).toEqual([])
      }),
      RUNS,
    )
  })

  test('with isolation high', () => {
    fc.assert(
      fc.property(mesh, (each) => {
        expect(gained(each, allHigh(each))).toEqual([])
      }),
      RUNS,
    )
  })
})

test('a wildcard never admits into isolation high', () => {
  fc.assert(
    fc.property(mesh, (each) => {
      const index = indexPolicy(compiled(onlyWildcards(allHigh(each))))
      const high = CALLS.filter(({ target }) => index.subjects.get(target)?.isolation === 'high')
      expect(high.filter((one) => decide(index, one).allowed)).toEqual([])
    }),
    RUNS,
  )
})

test('a slice answers as the whole for every call of its service', () => {
  fc.assert(
    fc.property(mesh, workload, (each, own) => {
      const policy = compiled(each)
      const whole = indexPolicy(policy)
      const part = indexPolicy(parseCompiled(JSON.parse(JSON.stringify(slice(policy, own)))))
      const concerned = CALLS.filter(({ source, target }) => source === own || target === own)
      expect(concerned.map((one) => essence(decide(part, one)))).toEqual(
        concerned.map((one) => essence(decide(whole, one))),
      )
      expect(concerned.map((one) => essence(decideDial(part, one)))).toEqual(
        concerned.map((one) => essence(decideDial(whole, one))),
      )
    }),
    { numRuns: 200 },
  )
})

test('over a slice nothing is allowed that does not concern its service', () => {
  fc.assert(
    fc.property(mesh, workload, (each, own) => {
      const part = indexPolicy(slice(compiled(each), own))
      const others = CALLS.filter(({ source, target }) => source !== own && target !== own)
      expect(others.filter((one) => decide(part, one).allowed)).toEqual([])
    }),
    RUNS,
  )
})

/** Everything but the reason, which is told from the side that is known. */
function essence(decision: ReturnType<typeof decide> | ReturnType<typeof decideDial>) {
  return decision.allowed ? decision : { code: decision.code, rule: decision.rule }
}

test('the order of keys has no influence on the bytes', () => {
  fc.assert(
    fc.property(mesh, (each) => {
      const turned = { ...each, brandenburg: reversed(each.brandenburg), partner: reversed(each.partner) }
      expect(JSON.stringify(compiled(turned))).toBe(JSON.stringify(compiled(each)))
    }),
    RUNS,
  )
})

test('what is compiled is read back from JSON as it was', () => {
  fc.assert(
    fc.property(mesh, (each) => {
      const policy = compiled(each)
      const json = JSON.stringify(policy)
      expect(JSON.stringify(parseCompiled(JSON.parse(json)))).toBe(json)
    }),
    RUNS,
  )
})

test('what is compiled with one value changed is refused or read, never a crash', () => {
  fc.assert(
    fc.property(mesh, fc.nat(), fc.jsonValue(), (each, which, value) => {
      const json: unknown = JSON.parse(JSON.stringify(compiled(each)))
      let at = 0
      const changed: unknown = JSON.parse(JSON.stringify(json), (_, old) => (at++ === which % 200 ? value : old))
      try {
        parseCompiled(changed)
      } catch (error) {
        expect(error).toMatchObject({ name: 'PolicyError', code: expect.stringMatching(/^compiled_/) })
      }
    }),
    RUNS,
  )
})

test('a diff is empty exactly when no edge and no subject differs, and its edges are the difference', () => {
  fc.assert(
    fc.property(mesh, mesh, (a, b) => {
      const [before, after] = [compiled(a), compiled(b)]
      expect(isUnchanged(diff(before, before))).toBe(true)
      const changes = diff(before, after)
      const back = diff(after, before)
      expect([changes.gained, changes.lost]).toEqual([back.lost, back.gained])
      expect(before.edges.length + changes.gained.length - changes.lost.length).toBe(after.edges.length)
      if (samePolicy(before, after)) expect(formatDiff(changes)).toEqual(['no change'])
    }),
    RUNS,
  )
})

test('an explanation is one line and agrees with the decision', () => {
  fc.assert(
    fc.property(mesh, workload, workload, (each, source, target) => {
      const index = indexPolicy(compiled(each))
      const words = explain(index, source, target)
      expect(words).toMatch(/^[^\n]+$/)
      expect(words.includes(': allowed by ')).toBe(decideDial(index, { source, target }).allowed)
      expect(words).toContain(parseWorkloadId(source).service)
    }),
    RUNS,
  )
})

function mapEntries(each: Mesh, change: (fields: Fields, key: string) => Fields): Mesh {
  const map = (entries: Services) =>
    Object.fromEntries(Object.entries(entries).map(([key, fields]) => [key, change(fields, key)]))
  return { ...each, brandenburg: map(each.brandenburg), partner: map(each.partner) }
}

function withoutItem(each: Mesh, which: number): Mesh {
  const count = [each.brandenburg, each.partner]
    .flatMap((entries) => Object.values(entries))
    .reduce((sum, fields) => sum + (fields.allowed_outbound?.length ?? 0), 0)
  let at = 0
  return mapEntries(each, (fields) => ({
    ...fields,
    allowed_outbound: (fields.allowed_outbound ?? []).filter(() => at++ !== which % Math.max(count, 1)),
  }))
}

function withoutEntry(each: Mesh, which: number): Mesh {
  const keys = Object.keys(each.brandenburg)
  const gone = keys[which % Math.max(keys.length, 1)]
  return { ...each, brandenburg: Object.fromEntries(Object.entries(each.brandenburg).filter(([key]) => key !== gone)) }
}

function allHigh(each: Mesh): Mesh {
  return mapEntries(each, (fields, key) => (key.includes('/') ? fields : { ...fields, isolation_level: 'high' }))
}

/** Across organisations a name is needed on the caller's side anyway: there only the callee's side is a wildcard. */
function onlyWildcards(each: Mesh): Mesh {
  return mapEntries(each, (fields) => ({
    ...fields,
    allowed_outbound: (fields.allowed_outbound ?? []).filter((pattern) => /[*/]/.test(pattern)),
  }))
}

function reversed(entries: Services): Services {
  return Object.fromEntries(Object.entries(entries).toReversed())
}
