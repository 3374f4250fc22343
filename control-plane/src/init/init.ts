import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { KeyStore } from '@vcc/keys'
import { canonicalJson } from '@vcc/mesh'
import { CliError, ensureFolder, formatDuration, readKeyFile, syncFolder, writeFileAtomic } from '@vcc/runtime'
import { actorRef, drawActor } from '../audit/actors.ts'
import { type AuditDeps, appendAudit } from '../audit/append.ts'
import { type Authorities, openAuthorities } from '../authority/authority.ts'
import { authorityRows } from '../authority/store.ts'
import type { ControlConfig } from '../config.ts'
import type { ReadAccess } from '../database/access.ts'
import { lockForWriting } from '../database/lock.ts'
import { createDatabase, openForReading } from '../database/open.ts'
import { change, query, type Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { type Installation, loadInstallation } from '../installation/installation.ts'
import type { IssueDeps, Requester } from '../issuance/issue.ts'
import { openKeys } from '../keys/open.ts'
import { createAdmin, createHierarchy, createTrust, REQUEST_ID } from './create.ts'
import { madeKeys } from './made-keys.ts'
import type { InitOptions } from './options.ts'
import { ADMIN_FILE, pathsOf } from './paths.ts'

export interface Initialised {
  readonly created: boolean
  readonly fingerprint: string
  readonly adminFile: string
  readonly installation: Installation
}

/**
 * Makes an installation: secrets where they are missing, roots and CAs, state signers, trust statement, database, and
 * the first admin's certificate. Everything is built beside the data folder and moved into place at the end, so that
 * an `init` that is interrupted leaves nothing that anybody could take for an installation.
 *
 * Keys in a token have no folder to lie in: they are noted before they are made, and those of an `init` that did not end
 * are deleted, by itself or by the next one.
 *
 * Run again, it changes nothing and says so; with other parameters it refuses.
 *
 * @throws {CliError} `already_initialised`, `folder_not_empty`, `hsm_keys_left`; KeyError of the token; DatabaseError, RuntimeError of the files.
 */
export async function init(
  options: InitOptions,
  config: ControlConfig,
  deps: { now: () => Date; progress: (what: string) => void },
): Promise<Initialised> {
  const paths = pathsOf(config.data)
  await ensureFolder(dirname(config.data))
  const lock = lockForWriting(`${config.data}.init`, deps.now())
  try {
    const existing = await existingInstallation(config, options)
    if (existing !== undefined) return existing
    await createSecrets(config)
    const partial = `${config.data}.partial`
    await removePartial(partial, config)
    await mkdir(partial, { mode: 0o700 })
    const installation = await build(partial, options, config, deps)
    await syncFolder(partial)
    await rename(partial, config.data)
    await syncFolder(dirname(config.data))
    await madeKeys(config.data).forget()
    return { created: true, ...installation, adminFile: paths.adminFile }
  } finally {
    lock.release()
  }
}

/** An installation that is there and was made with the same parameters is as good as made now. */
async function existingInstallation(config: ControlConfig, options: InitOptions): Promise<Initialised | undefined> {
  const paths = pathsOf(config.data)
  if (!(await exists(config.data))) return undefined
  if (!(await exists(paths.database))) {
    throw new CliError('usage', 'folder_not_empty', `${config.data} exists and is not an installation`, {
      hint: 'name another folder in `data`, or move this one away',
    })
  }
  const key = await readKeyFile(config.secrets.database_key_file)
  await using database = openForReading({ path: paths.database, key })
  const installation = await loadInstallation(database)
  await using keys = await openKeys(config, paths.keys)
  const authorities = await openAuthorities({ database, keys })
  const differing = differences(installation, authorities, options)
  if (differing.length > 0) {
    throw new CliError(
      'conflict',
      'already_initialised',
      `${config.data} was initialised with another ${differing.join(', ')}`,
      {
        hint: 'these are fixed for the life of an installation; nothing was changed',
      },
    )
  }
  return { created: false, installation, fingerprint: fingerprintOf(authorities), adminFile: paths.adminFile }
}

function differences(installation: Installation, authorities: Authorities, options: InitOptions): readonly string[] {
  const { kind } = authorities.root('mesh-root').certificate.publicKey
  const pairs: readonly [string, unknown, unknown][] = [
    ['trust domain', installation.trustDomain, options.trustDomain],
    ['domain', installation.domain, options.domain],
    ['organisation', installation.homeOrganization, options.homeOrganization],
    ['OID arc', installation.oidArc, options.oidArc],
    ['status URL', installation.statusUrl, options.statusUrl],
    ['kind of root key', kind.type === 'ec' ? kind.curve : `RSA-${kind.bits}`, options.rootKey],
    ['outage budget', installation.outageBudgetMs, options.outageBudgetMs],
    ['set of classes', canonicalJson(installation.classes), canonicalJson(options.classes)],
  ]
  return pairs.filter(([, a, b]) => a !== b).map(([name]) => name)
}

/** Two keys of 32 random bytes, where the operator has not brought their own. Never over an existing file. */
async function createSecrets(config: ControlConfig): Promise<void> {
  for (const file of [config.secrets.database_key_file, config.secrets.key_store_key_file]) {
    if (!file.includes('/') || (await exists(file))) continue
    await ensureFolder(dirname(file))
    await writeFileAtomic(file, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 })
  }
}

/** What an `init` left that did not end. */
async function removePartial(folder: string, config: ControlConfig): Promise<void> {
  const made = madeKeys(folder)
  if (await made.areThere()) {
    await using keys = await openKeys(config, pathsOf(folder).keys)
    await made.destroyAll(keys.hsm)
  }
  await rm(folder, { recursive: true, force: true })
}

async function build(
  folder: string,
  options: InitOptions,
  config: ControlConfig,
  deps: { now: () => Date; progress: (what: string) => void },
): Promise<{ fingerprint: string; installation: Installation }> {
  const paths = pathsOf(folder)
  await ensureFolder(paths.keys)
  const made = madeKeys(folder)
  await using keys = await openKeys(config, paths.keys, { beforeGenerate: made.note })
  try {
    return await buildWith(keys, folder, options, config, deps)
  } catch (error) {
    await made.destroyAll(keys.hsm).catch(() => {}) // noted they stay: the next `init` deletes them
    throw error
  }
}

async function buildWith(
  keys: KeyStore,
  folder: string,
  options: InitOptions,
  config: ControlConfig,
  deps: { now: () => Date; progress: (what: string) => void },
): Promise<{ fingerprint: string; installation: Installation }> {
  const paths = pathsOf(folder)
  const database = createDatabase(
    { path: paths.database, key: await readKeyFile(config.secrets.database_key_file) },
    deps,
  )
  await using _ = database
  const audit: AuditDeps = { now: () => Temporal.Now.instant(), source: { component: 'vcc-control', build: 'init' } }
  const issuing: IssueDeps = { database, audit, installation: options, owner: randomUUID(), now: deps.now }
  const draw = drawActor()
  const ref = await database.runUnit(function* (): Unit<string> {
    yield* insertOrganization(options, deps.now())
    yield* appendAudit(
      { event: 'AUD-01', outcome: 'success', actor: SYSTEM, target: { type: 'audit', id: 'chain' } },
      audit,
    )
    return yield* actorRef({ account: options.account, name: options.account }, deps.now(), draw)
  })
  const requester: Requester = { type: 'human', ref }
  await createHierarchy(options, requester, { ...issuing, keys }, deps.progress)
  const authorities = await openAuthorities({ database, keys })
  deps.progress('state signers and trust statement')
  const trustStatement = await createTrust(options, authorities, requester, { ...issuing, keys })
  await database.runUnit(() => insertInstallation(options, trustStatement, requester, { audit, now: deps.now }))
  const installation = await loadInstallation(database)
  deps.progress('the first admin’s certificate')
  await createAdmin(options.account, join(folder, ADMIN_FILE), requester, { ...issuing, installation, authorities })
  return { fingerprint: fingerprintOf(authorities), installation }
}

const SYSTEM = { type: 'system', ref: 'vcc-control' } as const

function* insertOrganization(options: InitOptions, now: Date): Unit<void> {
  yield* change(
    query.insertInto('organizations').values({
      org_id: options.homeOrganization,
      org_name: options.homeOrganization,
      created_at: epochSeconds(now),
    }),
  )
}

function* insertInstallation(
  options: InitOptions,
  trustStatement: string,
  requester: Requester,
  deps: { audit: AuditDeps; now: () => Date },
): Unit<void> {
  yield* change(
    query.insertInto('installation').values({
      id: 1,
      trust_domain: options.trustDomain,
      domain: options.domain,
      home_org: options.homeOrganization,
      oid_arc: options.oidArc,
      status_url: options.statusUrl,
      epoch: 1,
      profile: 'one-person',
      classes: canonicalJson(options.classes),
      outage_budget_seconds: options.outageBudgetMs / 1000,
      trust_statement: trustStatement,
      created_at: epochSeconds(deps.now()),
    }),
  )
  yield* appendAudit(
    {
      event: 'SYS-03',
      outcome: 'success',
      actor: { type: requester.type, ref: requester.ref },
      target: { type: 'component', id: 'installation' },
      requestId: REQUEST_ID,
      details: {
        profile: 'one-person',
        trustDomain: options.trustDomain,
        outageBudget: formatDuration(options.outageBudgetMs),
      },
    },
    deps.audit,
  )
}

/** SHA-256 over the DER of the mesh root: what an agent compares at join. */
export function fingerprintOf(authorities: Authorities): string {
  return rootFingerprint(authorities.root('mesh-root').certificate.der)
}

/** The same for who has the database and no keys. @throws {CliError} `no_mesh_root` */
export async function readFingerprint(database: ReadAccess): Promise<string> {
  const rows = await database.read(authorityRows)
  const root = rows.find(({ kind, profile }) => kind === 'root' && profile === 'mesh-root')
  if (root === undefined) throw new CliError('failed', 'no_mesh_root', 'the database holds no mesh root')
  return rootFingerprint(root.certificate_der)
}

function rootFingerprint(der: Uint8Array): string {
  return `sha256:${createHash('sha256').update(der).digest('hex')}`
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
