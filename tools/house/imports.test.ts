import { dirname, join, normalize } from 'node:path'
import { assert, describe, test } from 'vitest'
import { importsOf, readSources, readWorkspaces, type SourceFile } from './workspaces.ts'

/** Which of our packages the product code of each workspace may import. Development-only ones are at the end. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'lib/x509': [],
  'lib/api': [],
  'lib/runtime': [],
  policy: [],
  'lib/keys': ['lib/runtime', 'lib/x509'],
  'lib/mesh': ['lib/runtime', 'lib/x509'],
  agent: ['lib/api', 'lib/mesh', 'lib/runtime', 'lib/x509', 'policy'],
  // The one exception to services importing no service: it mounts the responder.
  'control-plane': ['lib/api', 'lib/keys', 'lib/mesh', 'lib/runtime', 'lib/x509', 'ocsp', 'policy'],
  ocsp: ['lib/keys', 'lib/runtime', 'lib/x509'],
  'lib/testkit': ['lib/keys', 'lib/mesh', 'lib/x509'],
  e2e: [
    'agent',
    'control-plane',
    'lib/api',
    'lib/keys',
    'lib/mesh',
    'lib/runtime',
    'lib/testkit',
    'lib/x509',
    'ocsp',
    'policy',
  ],
}

const workspaces = readWorkspaces()
const folderOf = new Map(workspaces.map(({ name, folder }) => [name, folder]))

test('every workspace has a row in the table of imports', () => {
  assert.deepEqual(Object.keys(MAY_IMPORT).toSorted(), workspaces.map(({ folder }) => folder).toSorted())
})

for (const workspace of workspaces) {
  const { folder, dependencies, devDependencies } = workspace
  const allowed = MAY_IMPORT[folder] ?? []
  const product = readSources(workspace).filter(({ kind }) => kind === 'product')
  const tests = readSources(workspace).filter(({ kind }) => kind === 'test')

  describe(`${folder} imports ${allowed.join(', ') || 'nothing of ours'}`, () => {
    test('by its package.json', () => {
      assert.deepEqual(beyond(allowed, dependencies), [])
    })

    test('in its code', () => {
      const wrong = product.flatMap((file) => beyond(allowed, importsOf(file)).map((name) => `${file.path}: ${name}`))
      assert.deepEqual(wrong, [])
    })

    test('in its tests at most what its package.json lists', () => {
      const listed = [...dependencies, ...devDependencies].flatMap((name) => folderOf.get(name) ?? [])
      const wrong = tests.flatMap((file) => beyond(listed, importsOf(file)).map((name) => `${file.path}: ${name}`))
      assert.deepEqual(wrong, [])
    })

    test('never reaches into another folder by a relative path', () => {
      const outside = [...product, ...tests].flatMap((file) =>
        relativeTargets(file).filter((target) => !target.startsWith(`${folder}/`)),
      )
      assert.deepEqual(outside, [])
    })
  })
}

test('only development code depends on the testkit', () => {
  const users = workspaces.filter(({ dependencies }) => dependencies.includes('@vcc/testkit'))
  assert.deepEqual(users, [])
})

test('cli/ and web/ of the control plane speak only the API', () => {
  const wrong = workspaces
    .filter(({ folder }) => folder === 'control-plane')
    .flatMap(readSources)
    .filter(({ kind }) => kind === 'product')
    .flatMap((file) => {
      const home = /^control-plane\/(?:cli|web)\//.exec(file.path)?.[0]
      if (home === undefined) return []
      const ours = beyond(['lib/api', 'lib/mesh', 'lib/runtime', 'lib/x509', 'policy'], importsOf(file))
      return [...ours, ...relativeTargets(file).filter((target) => !target.startsWith(home))].map(
        (to) => `${file.path}: ${to}`,
      )
    })
  assert.deepEqual(wrong, [])
})

/** Specifiers of our packages that are not among the allowed folders; a path into a package never is. */
function beyond(allowed: readonly string[], specifiers: readonly string[]): string[] {
  return specifiers.filter((specifier) => {
    if (!specifier.startsWith('@vcc/')) return false
    const folder = folderOf.get(specifier)
    return folder === undefined || !allowed.includes(folder)
  })
}

function relativeTargets(file: SourceFile): string[] {
  return importsOf(file)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => normalize(join(dirname(file.path), specifier)))
}
