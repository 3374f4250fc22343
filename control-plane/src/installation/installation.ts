import type { ReadAccess } from '../database/access.ts'
import { one, query, type Unit } from '../database/unit.ts'

/** What `init` decided, once for the life of the installation. */
export interface Installation {
  readonly trustDomain: string
  /** DNS names of services end in it. */
  readonly domain: string
  readonly homeOrganization: string
  readonly oidArc: string
  /** Public http base of CRL, OCSP and issuer certificates, fixed in every certificate. */
  readonly statusUrl: string
  readonly epoch: number
  readonly profile: 'one-person'
  /** Class name → OID. */
  readonly classes: Readonly<Record<string, string>>
  readonly outageBudgetMs: number
  /** Compact JWS signed by the mesh root. */
  readonly trustStatement: string
}

export function loadInstallation(database: ReadAccess): Promise<Installation> {
  return database.read(installationRow)
}

function* installationRow(): Unit<Installation> {
  const row = yield* one(
    query
      .selectFrom('installation')
      .select([
        'trust_domain',
        'domain',
        'home_org',
        'oid_arc',
        'status_url',
        'epoch',
        'profile',
        'classes',
        'outage_budget_seconds',
        'trust_statement',
      ])
      .where('id', '=', 1),
  )
  return {
    trustDomain: row.trust_domain,
    domain: row.domain,
    homeOrganization: row.home_org,
    oidArc: row.oid_arc,
    statusUrl: row.status_url,
    epoch: row.epoch,
    profile: row.profile,
    classes: JSON.parse(row.classes) as Record<string, string>, // written by init only
    outageBudgetMs: row.outage_budget_seconds * 1000,
    trustStatement: row.trust_statement,
  }
}
