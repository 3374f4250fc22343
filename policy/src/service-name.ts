import { PolicyError } from './error.ts'
import type { Text } from './field.ts'
import { canonical, canonicalOrganizationName, canonicalServiceName } from './name.ts'
import type { Report } from './report.ts'
import { didYouMean } from './suggest.ts'

/** A service as a matrix names it. */
export interface ServiceName {
  readonly organization: string
  readonly service: string
  /** `argus`, or `partner/argus` when it is not of the matrix's organisation. */
  readonly key: string
}

/** `argus`, `own-organisation/argus` (the same) or `partner/argus`; what is wrong goes to `report`. */
export function readServiceName({ text, offset }: Text, home: string, report: Report): ServiceName | undefined {
  const slash = text.indexOf('/')
  try {
    const organization = slash < 0 ? home : canonicalOrganizationName(text.slice(0, slash))
    const service = canonicalServiceName(text.slice(slash + 1))
    return { organization, service, key: organization === home ? service : `${organization}/${service}` }
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause
    report.add(problemOf(cause), offset, cause.message, hintFor(cause, text))
    return undefined
  }
}

function problemOf(error: PolicyError) {
  if (error.code === 'organization_name_invalid' || error.code === 'service_name_reserved') return error.code
  return 'service_name_invalid'
}

function hintFor(error: PolicyError, text: string): string {
  if (error.code === 'service_name_reserved') return 'choose another name; this one is no service'
  const folded = canonical(text.toLowerCase())
  const valid = /^(?:[a-z][a-z0-9-]{0,39}\/)?[a-z][a-z0-9-]{0,39}$/.test(folded)
  return valid ? didYouMean(folded) : 'a name begins with a-z and goes on with a-z, 0-9, - or _, at most 40'
}
