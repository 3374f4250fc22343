/**
 * Exit status 0 when `node_modules` holds what `package-lock.json` says, else 1 with the first difference.
 *
 * Compares npm's own record of what it installed; does not look at the files themselves.
 */
import { existsSync, readFileSync } from 'node:fs'

interface Locked {
  readonly version?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly optional?: boolean
  readonly os?: string | readonly string[]
  readonly cpu?: string | readonly string[]
  readonly libc?: readonly string[]
}

function lockedPackages(file: string): Map<string, Locked> {
  const { packages } = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, Locked> }
  return new Map(Object.entries(packages).filter(([path]) => path.includes('node_modules/')))
}

function firstDifference(): string | undefined {
  if (!existsSync('node_modules/.package-lock.json')) return 'nothing is installed'
  const installed = lockedPackages('node_modules/.package-lock.json')
  for (const [path, wanted] of lockedPackages('package-lock.json')) {
    const found = installed.get(path)
    if (found === undefined && wanted.optional === true && !isForThisMachine(wanted)) continue
    if (found === undefined) return `${path} is missing`
    if (found.version !== wanted.version || found.integrity !== wanted.integrity) return `${path} is another version`
  }
  return undefined
}

/** Optional packages that name no platform hang on others that do; those are enough to look at. */
function isForThisMachine({ os, cpu, libc = ['glibc'] }: Locked): boolean {
  return (
    os !== undefined && os.includes(process.platform) && cpu?.includes(process.arch) !== false && libc.includes('glibc')
  )
}

const difference = firstDifference()
if (difference !== undefined) {
  process.stderr.write(`set-up: ${difference}\n`)
  process.exitCode = 1
}
