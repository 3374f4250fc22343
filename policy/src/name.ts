import { PolicyError, quote } from './error.ts'

/** Names the mesh keeps for the control plane and its broker. */
export const RESERVED_SERVICE_NAMES: readonly string[] = ['control', 'broker']

/** What may be part of a name after canonicalisation; a wildcard's literal is checked with it. */
export const NAME_CHARACTERS = /^[a-z0-9-]+$/

/** `_` equals `-`; the form with `-` is the canonical one. Checks nothing. */
export function canonical(text: string): string {
  return text.replaceAll('_', '-')
}

/**
 * The canonical form of a service name: `covina_ingestion` is `covina-ingestion`.
 *
 * Case is not folded: `Argus` is refused.
 *
 * @throws {PolicyError} `service_name_invalid` unless `[a-z][a-z0-9-]{0,39}`, `service_name_reserved`.
 */
export function canonicalServiceName(text: string): string {
  const name = canonical(text)
  if (!NAME.test(name)) throw new PolicyError('service_name_invalid', `${quote(text)} is not a service name`)
  if (RESERVED_SERVICE_NAMES.includes(name)) {
    throw new PolicyError('service_name_reserved', `${quote(text)} is reserved for the mesh itself`)
  }
  return name
}

/**
 * The canonical form of an organisation's name, by the grammar of service names (it becomes a DNS label too).
 *
 * @throws {PolicyError} `organization_name_invalid`.
 */
export function canonicalOrganizationName(text: string): string {
  const name = canonical(text)
  if (!NAME.test(name)) throw new PolicyError('organization_name_invalid', `${quote(text)} is not an organisation`)
  return name
}

const NAME = /^[a-z][a-z0-9-]{0,39}$/
