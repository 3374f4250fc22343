import { isDnsName } from '../dns-name.ts'
import { X509Error } from '../errors.ts'
import type { GeneralName } from '../general-name.ts'
import { mailboxParts } from '../mailbox.ts'
import type { Name } from '../name.ts'

/**
 * Whether a name lies within one subtree of the same type (RFC 5280 §4.2.1.10).
 *
 * @param purpose A wildcard lies within an excluded subtree as soon as one of its names does.
 * @param prepare The prepared RDNs of a name; asked for each name as often as it is compared.
 * @throws {X509Error} `name_constraint_unsupported` for a subtree that cannot be understood, `name_unsupported` for a
 *   name that cannot be held against one: either is refused rather than taken for "no match".
 */
export function isWithin(
  name: GeneralName,
  base: GeneralName,
  purpose: 'permitted' | 'excluded',
  prepare: (name: Name) => readonly string[],
): boolean {
  switch (base.type) {
    case 'dns':
      return name.type === 'dns' && dnsWithin(name.value, base.value, purpose)
    case 'uri':
      return name.type === 'uri' && hostWithin(uriHost(name.value), base.value)
    case 'email':
      return name.type === 'email' && mailboxWithin(name.value, base.value)
    case 'ip':
      return name.type === 'ip' && addressWithin(name.octets, base.octets)
    case 'directory':
      return name.type === 'directory' && directoryWithin(prepare(name.name), prepare(base.name))
    case 'other':
      throw new X509Error('name_constraint_unsupported', 'a CA constrains names of a form that is not supported')
    default:
      return base satisfies never
  }
}

/** "Any DNS name that can be constructed by simply adding zero or more labels to the left-hand side": §4.2.1.10 */
function dnsWithin(value: string, constraint: string, purpose: 'permitted' | 'excluded'): boolean {
  const name = value.toLowerCase()
  const base = constraint.toLowerCase()
  // A leading period has no meaning for DNS subtrees in RFC 5280, and validators disagree on it.
  if (base !== '' && !isDnsName(base)) unsupportedConstraint(constraint)
  const isWildcard = name.startsWith('*.')
  const suffix = isWildcard ? name.slice(2) : name
  if (!isDnsName(suffix)) unsupportedName(value)
  if (base === '' || suffix === base || suffix.endsWith(`.${base}`)) return true
  return isWildcard && purpose === 'excluded' && base.endsWith(`.${suffix}`)
}

/** "When the constraint begins with a period, it MAY be expanded with one or more labels": §4.2.1.10, URI and e-mail. */
function hostWithin(host: string, constraint: string): boolean {
  const base = constraint.toLowerCase()
  const isDomain = base.startsWith('.')
  if (!isDnsName(isDomain ? base.slice(1) : base)) unsupportedConstraint(constraint)
  return isDomain ? host.endsWith(base) : host === base
}

/**
 * "If the constraint is [of the URI form and] a certificate contains a URI that does not include an authority component
 * with a host name specified as a fully qualified domain name, then the application MUST reject the certificate".
 */
function uriHost(uri: string): string {
  // scheme "://" [userinfo "@"] host [":" port] in the alphabet of RFC 3986 §3.2: readers differ on anything else.
  const host = (AUTHORITY.exec(uri)?.[1] ?? '').toLowerCase()
  if (!isDnsName(host)) unsupportedName(uri)
  return host
}

const AUTHORITY =
  /^[A-Za-z][A-Za-z0-9+.-]*:\/\/(?:[A-Za-z0-9._~!$&'()*+,;=:%-]*@)?([A-Za-z0-9.-]+)(?::[0-9]*)?(?:[/?#]|$)/

/** "To indicate a particular mailbox … all addresses on a host … any address within a domain": §4.2.1.10 */
function mailboxWithin(mailbox: string, constraint: string): boolean {
  const { local, host } = mailboxParts(mailbox) ?? unsupportedName(mailbox)
  if (!constraint.includes('@')) return hostWithin(host, constraint)
  const wanted = mailboxParts(constraint) ?? unsupportedConstraint(constraint)
  return host === wanted.host && local === wanted.local
}

/** Address and mask in the style of CIDR; a mask with holes is refused. */
function addressWithin(address: Uint8Array, range: Uint8Array): boolean {
  const size = range.length / 2
  const mask = range.subarray(size)
  if (!/^1*0*$/.test(Array.from(mask, (octet) => octet.toString(2).padStart(8, '0')).join(''))) {
    throw new X509Error('name_constraint_unsupported', 'an address range has a mask with holes')
  }
  if (address.length !== size) return false
  return address.every((octet, i) => ((octet ^ (range[i] ?? 0)) & (mask[i] ?? 0)) === 0)
}

/** The constraint's RDNs lead the name's. Values are compared prepared, so that case and string type cannot evade. */
function directoryWithin(name: readonly string[], base: readonly string[]): boolean {
  return base.length <= name.length && base.every((rdn, i) => rdn === name[i])
}

function unsupportedConstraint(constraint: string): never {
  throw new X509Error('name_constraint_unsupported', `the name constraint "${constraint}" is not understood`)
}

function unsupportedName(name: string): never {
  throw new X509Error('name_unsupported', `"${name}" cannot be held against name constraints`)
}
