import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A workspace as its package.json describes it. */
export interface Workspace {
  readonly folder: string
  readonly name: string
  readonly dependencies: readonly string[]
  readonly devDependencies: readonly string[]
}

/** A TypeScript file of a workspace, with comments blanked out so that words in them are not taken for code. */
export interface SourceFile {
  readonly path: string
  readonly workspace: string
  readonly kind: 'product' | 'test'
  readonly text: string
  readonly code: string
}

/** All workspaces of the root package.json, sorted by folder. */
export function readWorkspaces(): Workspace[] {
  const { workspaces } = readJson('package.json') as { workspaces: string[] }
  return globSync(workspaces.map((pattern) => `${pattern}/package.json`))
    .toSorted()
    .map((file) => {
      const manifest = readJson(file) as { name: string } & Partial<Record<'dependencies' | 'devDependencies', object>>
      return {
        folder: file.slice(0, -'/package.json'.length),
        name: manifest.name,
        dependencies: Object.keys(manifest.dependencies ?? {}),
        devDependencies: Object.keys(manifest.devDependencies ?? {}),
      }
    })
}

/** Every TypeScript file of a workspace's `src`, `cli` and `web`; what only tests use is `*.test.ts`, `fixture.ts` or in `testing/`. */
export function readSources(workspace: Workspace): SourceFile[] {
  return globSync(join(workspace.folder, '{src,cli,web}/**/*.ts'))
    .toSorted()
    .map((path) => {
      const text = readFileSync(path, 'utf8')
      const kind = /\.test\.ts$|\/testing\/|\/(?:[a-z-]+-)?fixtures?\.ts$/.test(path) ? 'test' : 'product'
      return { path, workspace: workspace.folder, kind, text, code: withoutComments(text) }
    })
}

/** What the file imports, statically or dynamically, in the form written. */
export function importsOf({ code }: Pick<SourceFile, 'code'>): string[] {
  const patterns = [
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s+['"]([^'"]+)['"]/gm,
    /^\s*import\s+['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"]([^'"]+)['"]/g,
    /\bimport\.meta\.resolve\(\s*['"]([^'"]+)['"]/g,
  ]
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map(([, specifier]) => specifier ?? ''))
}

/** The same text with comments replaced by spaces; strings stay, line numbers too. */
export function withoutComments(text: string): string {
  const tokens = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g
  return text.replaceAll(tokens, (token) => (token.startsWith('/') ? token.replaceAll(/[^\n]/g, ' ') : token))
}

/** Where a pattern occurs: `path:line: the line`. */
export function occurrences(file: Pick<SourceFile, 'path' | 'text'>, code: string, pattern: RegExp): string[] {
  const lines = file.text.split('\n')
  return [...code.matchAll(new RegExp(pattern, pattern.flags.includes('g') ? pattern.flags : `${pattern.flags}g`))].map(
    ({ index }) => {
      const line = code.slice(0, index).split('\n').length
      return `${file.path}:${line}: ${lines[line - 1]?.trim() ?? ''}`
    },
  )
}

const readJson = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'))
