import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { ROOT_FOLDER } from '../harness/paths.ts'
import { run } from '../harness/process.ts'

/** Other people's programs, where each may be, and how it comes. `versionOf` reads its version from what it prints. */
const TOOLS = {
  openssl: { at: ['openssl'], version: ['version'], versionOf: /OpenSSL (\S+)/, from: 'a Debian package' },
  certtool: { at: ['certtool'], version: ['--version'], versionOf: /certtool (\S+)/, from: 'a Debian package' },
  ocsptool: { at: ['ocsptool'], version: ['--version'], versionOf: /ocsptool (\S+)/, from: 'a Debian package' },
  mosquitto: {
    at: ['mosquitto', '/usr/sbin/mosquitto'],
    version: ['-h'],
    versionOf: /version (\S+)/,
    from: 'a Debian package',
  },
  curl: { at: ['curl'], version: ['--version'], versionOf: /curl (\S+)/, from: 'a Debian package' },
  zlint: {
    at: ['.interop/bin/zlint'],
    version: ['-version'],
    versionOf: /version (\S+)/,
    from: 'make interop-tools, where Go is',
  },
  pkilint: {
    at: ['.interop/python/bin/lint_pkix_cert'],
    version: ['--help'],
    versionOf: /RFC 5280/,
    from: 'make interop-tools',
  },
  java: { at: ['java'], version: ['--version'], versionOf: /openjdk (\S+)/, from: 'a JDK, where one is' },
} as const satisfies Record<string, ToolPlace>

interface ToolPlace {
  /** Names on the PATH, absolute paths, or paths below the root of the tree. */
  readonly at: readonly string[]
  readonly version: readonly string[]
  readonly versionOf: RegExp
  readonly from: string
}

export type ToolName = keyof typeof TOOLS

export interface Tool {
  readonly name: ToolName
  readonly path: string
  readonly version: string
}

/** The program, or why it cannot be used. A program that is there and does not start is not usable either. */
export async function findTool(name: ToolName): Promise<Tool | { readonly missing: string }> {
  const { at, version, versionOf, from }: ToolPlace = TOOLS[name]
  const path = at.flatMap(placesOf).find(existsSync)
  if (path === undefined) return { missing: `${name} is not here; it comes by ${from}` }
  const { stdout, stderr } = await run(path, [...version])
  const found = versionOf.exec(stdout + stderr)
  if (found === null) return { missing: `${path} does not start: ${(stderr || stdout).trim().split('\n')[0] ?? ''}` }
  return { name, path, version: found[1] ?? '' }
}

function placesOf(name: string): string[] {
  if (name.startsWith('/')) return [name]
  if (name.includes('/')) return [join(ROOT_FOLDER, name)]
  return (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name))
}
