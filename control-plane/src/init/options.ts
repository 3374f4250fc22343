import { CliError } from '@vcc/runtime'
import { classOid, DEFAULT_OID_ARC } from '@vcc/x509'

/** The classes that exist everywhere, in the order of their OIDs `.2.1` to `.2.5`. */
const BUILTIN_CLASSES = [
  'mtls_certificate',
  'management_core_certificate',
  'ai_processing_certificate',
  'orchestrator_certificate',
  'ui_service_certificate',
] as const

export interface InitOptions {
  readonly trustDomain: string
  readonly domain: string
  readonly homeOrganization: string
  readonly statusUrl: string
  readonly oidArc: string
  readonly rootKey: 'RSA-4096' | 'P-384'
  readonly account: string
  /** Class name → OID. */
  readonly classes: Readonly<Record<string, string>>
  readonly outageBudgetMs: number
}

export interface GivenOptions {
  readonly statusUrl: string
  readonly trustDomain?: string
  readonly domain?: string
  readonly org?: string
  readonly oidArc?: string
  readonly rootKey?: string
  readonly admin?: string
  readonly class?: readonly string[]
  readonly outageBudgetMs: number
}

const HOUR_MS = 3_600_000

/** @throws {CliError} `option_invalid` for the first option that cannot be. */
export function checkOptions(given: GivenOptions): InitOptions {
  const trustDomain = matching(
    given.trustDomain ?? 'vcc.internal',
    DOMAIN,
    '--trust-domain',
    'a DNS name like vcc.internal',
  )
  const domain = matching(given.domain ?? trustDomain, DOMAIN, '--domain', 'a DNS name like vcc.internal')
  const homeOrganization = matching(given.org ?? 'brandenburg', NAME, '--org', 'a name like brandenburg')
  const oidArc = matching(given.oidArc ?? DEFAULT_OID_ARC, OID_ARC, '--oid-arc', 'an OID like 1.3.6.1.4.1.55555')
  const rootKey = given.rootKey ?? 'RSA-4096'
  if (rootKey !== 'RSA-4096' && rootKey !== 'P-384') throw invalid('--root-key', 'RSA-4096 or P-384')
  if (given.outageBudgetMs < HOUR_MS || given.outageBudgetMs > 120 * HOUR_MS) {
    throw invalid('--outage-budget', 'between 1h and 5d: a leaf of 7 days, renewed daily, cannot carry more')
  }
  const extra = (given.class ?? []).map((name) => matching(name, CLASS, '--class', 'a name like batch_certificate'))
  const names = [...BUILTIN_CLASSES, ...extra]
  if (new Set(names).size !== names.length) throw invalid('--class', 'a class that does not exist already')
  return {
    trustDomain,
    domain,
    homeOrganization,
    statusUrl: statusUrl(given.statusUrl),
    oidArc,
    rootKey,
    account: given.admin ?? 'admin',
    classes: Object.fromEntries(names.map((name, index) => [name, classOid(oidArc, index + 1)])),
    outageBudgetMs: given.outageBudgetMs,
  }
}

/** Fixed in every certificate from the first on, so it is asked for and not guessed. */
function statusUrl(text: string): string {
  const url = URL.parse(text)
  if (url?.protocol !== 'http:' || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw invalid('--status-url', 'an http:// URL: CRL and OCSP over https would need a CRL to be checked')
  }
  return url.href.replace(/\/+$/, '')
}

function matching(text: string, pattern: RegExp, option: string, wanted: string): string {
  if (!pattern.test(text)) throw invalid(option, wanted, text)
  return text
}

function invalid(option: string, wanted: string, text?: string): CliError {
  const given = text === undefined ? '' : `, not "${text}"`
  return new CliError('usage', 'option_invalid', `${option} takes ${wanted}${given}`)
}

const DOMAIN = /^(?=.{1,200}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/
const NAME = /^[a-z][a-z0-9-]{0,39}$/
const CLASS = /^[a-z][a-z0-9_]{0,63}$/
const OID_ARC = /^[0-2](\.(0|[1-9]\d{0,9})){3,14}$/
