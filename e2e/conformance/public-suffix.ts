import { existsSync, readFileSync } from 'node:fs'

/** Whether a domain is a public suffix, by the list that Debian's package `publicsuffix` installs; undefined without it. */
export function publicSuffixes(): ((domain: string) => boolean) | undefined {
  if (!existsSync(LIST)) return undefined
  loaded ??= parse(readFileSync(LIST, 'utf8'))
  return loaded
}

/** The algorithm of publicsuffix.org/list: an exception beats a wildcard, and `*` is the rule where none matches. */
function parse(list: string): (domain: string) => boolean {
  const rules = new Set(
    list
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('//')),
  )
  return (domain) => {
    if (rules.has(`!${domain}`)) return false
    const parent = domain.slice(domain.indexOf('.') + 1)
    return !domain.includes('.') || rules.has(domain) || rules.has(`*.${parent}`)
  }
}

let loaded: ((domain: string) => boolean) | undefined
const LIST = '/usr/share/publicsuffix/public_suffix_list.dat'
