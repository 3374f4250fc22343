import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { assert, describe, test } from 'vitest'
import { importsOf, occurrences, readSources, readWorkspaces, type SourceFile } from './workspaces.ts'

const sources = readWorkspaces().flatMap(readSources)
const product = sources.filter(({ kind, workspace }) => kind === 'product' && workspace !== 'e2e')
const everything = [
  ...sources,
  ...globSync(['tools/**/*.ts', 'e2e/*.ts', 'e2e/!(src|node_modules)/**/*.ts', '*.ts'])
    .filter((path) => !path.includes('/.types/'))
    .map((path): SourceFile => {
      const text = readFileSync(path, 'utf8')
      return { path, workspace: path.startsWith('e2e') ? 'e2e' : 'tools', kind: 'test', text, code: text }
    }),
]

const find = (files: readonly SourceFile[], pattern: RegExp, where: 'code' | 'text' = 'code'): string[] =>
  files.flatMap((file) => occurrences(file, file[where], pattern))

describe('shape', () => {
  test('names say what a thing is: no utils, helpers, common, manager, impl', () => {
    const vague = /(?:^|[/.-])(?:utils?|helpers?|common|managers?|impl|misc)(?=[/.-])/
    assert.deepEqual(
      everything.map(({ path }) => path).filter((path) => vague.test(path)),
      [],
    )
  })

  test('file names are kebab-case', () => {
    const kebab = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.(?:test|tap|config|d))?\.ts$/
    assert.deepEqual(
      everything.map(({ path }) => path).filter((path) => !kebab.test(basename(path))),
      [],
    )
  })

  test('one index.ts per package, no inner barrels', () => {
    const inner = sources.filter(
      ({ path, workspace }) => basename(path) === 'index.ts' && path !== `${workspace}/src/index.ts`,
    )
    assert.deepEqual(
      inner.map(({ path }) => path),
      [],
    )
  })

  test('a file past 300 lines says at its top why: "Long because …"', () => {
    const silent = product.filter(({ text }) => {
      const lines = text.split('\n')
      return lines.length > 301 && !/long because \S/i.test(lines.slice(0, 15).join('\n'))
    })
    assert.deepEqual(
      silent.map(({ path, text }) => `${path}: ${text.split('\n').length - 1} lines`),
      [],
    )
  })

  test('no default exports', () => {
    const configuration = new Set(['vitest.config.ts'])
    const others = everything.filter(({ path }) => !configuration.has(path))
    assert.deepEqual(find(others, /^export default\b|^export \{[^}]*\bas default\b/m), [])
  })
})

describe('boundaries', () => {
  test('only lib/runtime touches process', () => {
    const others = product.filter(({ workspace }) => workspace !== 'lib/runtime')
    assert.deepEqual(find(others, /(?<![\w.$'"`-])process(?:\.|\[)|['"](?:node:)?process['"]/), [])
  })

  test('lib/x509 and policy are pure: no I/O, no clock, no randomness', () => {
    const pure = product.filter(({ workspace }) => workspace === 'lib/x509' || workspace === 'policy')
    const impure =
      /\bDate\.now\(|\bnew Date\(\)|\bTemporal\.Now\b|\bperformance\.|\bMath\.random\(|\bsetTimeout\(|\bfetch\(/
    const randomness = /\b(?:randomBytes|randomUUID|randomInt|randomFill\w*|getRandomValues|generateKey\w*)\b/
    assert.deepEqual([...find(pure, impure), ...find(pure, randomness)], [])

    const builtIns = new Set(['node:crypto', 'node:buffer', 'node:net', 'node:url', 'node:util'])
    const inputOutput = pure.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => specifier.startsWith('node:') && !builtIns.has(specifier))
        .map((specifier) => `${file.path}: ${specifier}`),
    )
    assert.deepEqual(inputOutput, [])
    assert.deepEqual(
      find(pure, /\bimport [^;]*?\b(?:createServer|createConnection|connect|Socket)\b[^;]*?'node:net'/),
      [],
    )
  })

  /**
   * A proof (`Verified…`, `Permit`) is minted in the file that declares it and nowhere else. Another brand may be minted
   * elsewhere in its package, where the line says why: "mint: …".
   */
  test('a brand is minted where its type is declared', () => {
    const brands = sources.flatMap((file) =>
      brandsOf(file).map((name) => ({ name, path: file.path, workspace: file.workspace })),
    )
    const forged = sources.flatMap((file) =>
      brands
        .filter(({ path }) => path !== file.path)
        .flatMap(({ name, workspace }) => {
          const mints = occurrences(file, withoutImports(file.code), new RegExp(`\\bas (?:\\w+ & )?${name}\\b`))
          const stated = file.workspace === workspace && !/^(?:Verified|Permit)/.test(name)
          return stated ? mints.filter((line) => !/\/\/.*\bmint: \S/.test(line)) : mints
        }),
    )
    assert.deepEqual(forged, [])
  })

  /** Node writes names into one string with commas between them, which a name may contain: CVE-2021-44531, -44532. */
  test('ca-12 alternative names are read from DER, never from the text Node makes of them', () => {
    const outside = product.filter(({ workspace }) => workspace !== 'lib/x509')
    assert.deepEqual(find(outside, /\bsubjectAltName\b|\bsubjectaltname\b|\bgetPeerCertificate\(/), [])
    assert.deepEqual(find(product, /new X509Certificate\(/), [])
  })

  test('columns are listed: no SELECT *', () => {
    assert.deepEqual(find(product, /\.selectAll\(|\bselect \*/i), [])
  })
})

describe('words', () => {
  test('every lint exception carries its reason on the line', () => {
    const bare =
      /(?:oxlint|eslint)-disable(?:-next-line|-line)?\b(?![^\n]*-- \S)|biome-ignore(?![^\n:]*: \S)|@ts-(?:ignore|nocheck)|@ts-expect-error(?! \S)/
    const others = everything.filter(({ path }) => path !== 'tools/house/rules.test.ts')
    assert.deepEqual(find(others, bare, 'text'), [])
  })

  test('open points are TODO(#issue), and there is no other mark', () => {
    assert.deepEqual(
      find(everything, /(?:\/\/|^\s*\*|\/\*).*?(?:\bTODO\b(?!\(#\d+\):)|\bFIXME\b|\bXXX\b|\bHACK\b)/m, 'text'),
      [],
    )
  })
})

/** Names of the types that carry a brand: `type X = … & { readonly [someUniqueSymbol]: … }`. */
function brandsOf({ code }: SourceFile): string[] {
  const symbols = [...code.matchAll(/\bconst (\w+): unique symbol\b/g)].map(([, name]) => name)
  return symbols.flatMap((symbol) => {
    const use = new RegExp(
      `\\b(?:type|interface) (\\w+)\\b(?:(?!\\n(?:export )?(?:type|interface|function|const|class) )[\\s\\S])*?\\[${symbol}\\]`,
      'g',
    )
    return [...code.matchAll(use)].flatMap(([, name]) => name ?? [])
  })
}

const withoutImports = (code: string): string =>
  code.replaceAll(/^(?:import|export)\b[^'"`;]*?\bfrom\s+['"][^'"]+['"]/gm, (statement) =>
    statement.replaceAll(/[^\n]/g, ' '),
  )
