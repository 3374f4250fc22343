import { randomUUID } from 'node:crypto'
import { now, readKeyFile, removeTemporaries } from '@vcc/runtime'
import { DEFAULT_OID_ARC } from '@vcc/x509'
import type { AuditDeps } from '../audit/append.ts'
import { type Authorities, openAuthorities } from '../authority/authority.ts'
import type { ControlConfig } from '../config.ts'
import { type Database, openDatabase } from '../database/open.ts'
import { pathsOf } from '../init/paths.ts'
import { type Installation, loadInstallation } from '../installation/installation.ts'
import type { IssueDeps } from '../issuance/issue.ts'
import { resolveAbandoned } from '../issuance/store.ts'
import { auditLoginRefused } from '../keys/audit.ts'
import { type Keys, openKeys } from '../keys/open.ts'
import { type OneAtATime, oneAtATime } from '../one-at-a-time.ts'
import { VERSION } from '../version.ts'
import { auditLifecycle } from './audit.ts'
import type { ControlEvents } from './events.ts'
import { hsmEvents } from './hsm.ts'
import type { Instruments } from './instruments.ts'
import type { ControlMetrics } from './metrics.ts'

/** What everything else rests on: the database, the keys, the CAs, and what `init` decided. */
export interface Core extends IssueDeps {
  readonly database: Database
  readonly audit: AuditDeps
  readonly installation: Installation
  readonly authorities: Authorities
  readonly keys: Keys
  /** One change of keys at a time: a key that is about to get its certificate is not deleted meanwhile. */
  readonly keyChanges: OneAtATime
}

/** Opens it, resolves what an earlier run left open, and puts the start on record. Answers how many orphans there were. */
export async function openCore(
  config: ControlConfig,
  resources: AsyncDisposableStack,
  { events, metrics, instruments }: { events: ControlEvents; metrics: ControlMetrics; instruments: Instruments },
): Promise<{ core: Core; orphans: number }> {
  const owner = randomUUID()
  const paths = pathsOf(config.data)
  const database = resources.use(
    openDatabase({ path: paths.database, key: await readKeyFile(config.secrets.database_key_file) }, { now }),
  )
  if (database.migrated !== undefined) {
    events.schema_migrated({ from: database.migrated.from, to: database.migrated.to })
  }
  database.broken.addEventListener('abort', () => events.database_broken({}, database.broken.reason))
  await removeTemporaries(paths.keys) // the database's lock makes the key store ours, too
  const audit: AuditDeps = {
    now: () => Temporal.Now.instant(),
    source: { component: 'vcc-control', build: VERSION, node: owner.slice(0, 8) },
  }
  const onLoginRefused = (code: string) => void database.runUnit(() => auditLoginRefused(code, audit)).catch(() => {})
  const heard = hsmEvents({ events, metrics, onLoginRefused })
  const keys = resources.use(await openKeys(config, paths.keys, { events: heard }))
  const installation = await loadInstallation(database)
  if (installation.oidArc === DEFAULT_OID_ARC) events.demo_arc({ oidArc: installation.oidArc })
  const authorities = await openAuthorities({ database, keys })
  const onIssued: IssueDeps['onIssued'] = ({ cause, authority }) => {
    metrics.vcc_certificates_issued_total.add({ cause })
    metrics.signing_ops_total.add({ authority })
  }
  const keyChanges = oneAtATime()
  const plain: Core = { database, audit, installation, authorities, keys, keyChanges, owner, onIssued, now }
  const core = instruments.core?.(plain) ?? plain
  const orphans = await resolveAbandoned({ notOwner: owner }, core)
  if (orphans > 0) events.intents_orphaned({ count: orphans })
  await database.runUnit(() => auditLifecycle('started', audit))
  resources.defer(() => database.runUnit(() => auditLifecycle('stopped', audit)))
  return { core, orphans }
}
