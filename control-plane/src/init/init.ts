import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type KeyStore, memorySigner, softwareStore } from '@vcc/keys'
import { canonicalJson, jwsSigner, signTrustStatement } from '@vcc/mesh'
import { CliError, ensureFolder, formatDuration, readKeyFile, syncFolder, writeFileAtomic } from '@vcc/runtime'
import { encodePem } from '@vcc/x509'
import { actorRef, drawActor } from '../audit/actors.ts'
import { type AuditDeps, appendAudit } from '../audit/append.ts'
import { type Authorities, type Authority, openAuthorities } from '../authority/authority.ts'
import { createIssuingCa, createRoot } from '../authority/create.ts'
import { CLASSICAL_SIGNATURES_END, CONSTRAINED, GRANTS_CLASSES, HIERARCHY, ROOT_YEARS } from '../authority/hierarchy.ts'
import { adminOrder } from '../certificates/admin.ts'
import type { ControlConfig } from '../config.ts'
import { lockForWriting } from '../database/lock.ts'
import { createDatabase, openForReading } from '../database/open.ts'
import { change, query, type Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { type Installation, loadInstallation } from '../installation/installation.ts'
import { type IssueDeps, issue, type Requester } from '../issuance/issue.ts'
import { createStateSigner } from '../state/signer.ts'
import { builtinTemplates } from '../templates/template.ts'
import type { InitOptions } from './options.ts'
import { ADMIN_FILE, pathsOf } from './paths.ts'

export interface Initialised {
  readonly created: boolean
  readonly fingerprint: string
  readonly adminFile: string
  readonly installation: Installation
}

const YEAR_MS = 365 * 86_400_000
const BACKDATE_MS = 300_000
const REQUEST_ID = 'init'

/**
 * Makes an installation: secrets where they are missing, roots and CAs, state signers, trust statement, database, and
 * the first admin's certificate. Everything is built beside the data folder and moved into place at the end, so that
 * an `init` that is interrupted leaves nothing that anybody could take for an installation.
 *
 * Run again, it changes nothing and says so; with other parameters it refuses.
 *
 * @throws {CliError} `already_initialised`, `folder_not_empty`; DatabaseError, RuntimeError of the files.
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
    await rm(partial, { recursive: true, force: true })
    await mkdir(partial, { mode: 0o700 })
    const installation = await build(partial, options, config, deps)
    await syncFolder(partial)
    await rename(partial, config.data)
    await syncFolder(dirname(config.data))
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
  const differing = differences(installation, options)
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
  const keys = softwareStore({ folder: paths.keys, wrappingKey: await readKeyFile(config.secrets.key_store_key_file) })
  const authorities = await openAuthorities({ database, keys })
  return { created: false, installation, fingerprint: fingerprintOf(authorities), adminFile: paths.adminFile }
}

function differences(installation: Installation, options: InitOptions): readonly string[] {
  const pairs: readonly [string, unknown, unknown][] = [
    ['trust domain', installation.trustDomain, options.trustDomain],
    ['domain', installation.domain, options.domain],
    ['organisation', installation.homeOrganization, options.homeOrganization],
    ['OID arc', installation.oidArc, options.oidArc],
    ['status URL', installation.statusUrl, options.statusUrl],
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

async function build(
  folder: string,
  options: InitOptions,
  config: ControlConfig,
  deps: { now: () => Date; progress: (what: string) => void },
): Promise<{ fingerprint: string; installation: Installation }> {
  const paths = pathsOf(folder)
  await ensureFolder(paths.keys)
  const keys = softwareStore({ folder: paths.keys, wrappingKey: await readKeyFile(config.secrets.key_store_key_file) })
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

async function createHierarchy(
  options: InitOptions,
  requester: Requester,
  deps: IssueDeps & { keys: KeyStore },
  progress: (what: string) => void,
): Promise<void> {
  const notBefore = new Date(epochSeconds(deps.now()) * 1000 - BACKDATE_MS)
  const organizationName = options.homeOrganization
  const roots = new Map<string, Authority>()
  for (const { profile, commonName } of HIERARCHY.roots) {
    progress(`${commonName} (${options.rootKey})`)
    const notAfter = new Date(Math.min(notBefore.getTime() + ROOT_YEARS * YEAR_MS, CLASSICAL_SIGNATURES_END.getTime()))
    const about = { profile, commonName, organizationName, spec: options.rootKey, notBefore, notAfter }
    roots.set(profile, await createRoot(about, requester, deps))
  }
  for (const row of HIERARCHY.issuing) {
    const root = roots.get(row.root)
    if (root === undefined) throw new TypeError(`${row.profile} names no root of the hierarchy`)
    const classes = Object.values(options.classes)
    const grants = { organizations: [options.homeOrganization], classes }
    const constraints = { permittedDns: [options.domain], permittedUriHosts: [options.trustDomain] }
    await createIssuingCa(
      {
        name: row.profile,
        profile: row.profile,
        commonName: row.commonName,
        organizationName,
        notBefore,
        notAfter: new Date(notBefore.getTime() + row.years * YEAR_MS),
        ...(GRANTS_CLASSES.has(row.profile) ? { classOids: classes, grants } : {}),
        ...(CONSTRAINED.has(row.profile) ? { nameConstraints: constraints } : {}),
      },
      root,
      { requester, requestId: REQUEST_ID, cause: 'init' },
      deps,
    )
  }
}

/** Two keys that may sign state, one of them in use, named by a statement of the mesh root itself. */
async function createTrust(
  options: InitOptions,
  authorities: Authorities,
  requester: Requester,
  deps: IssueDeps & { keys: KeyStore },
): Promise<string> {
  const active = await createStateSigner('active', { requester, requestId: REQUEST_ID }, { ...deps, authorities })
  const spare = await createStateSigner('spare', { requester, requestId: REQUEST_ID }, { ...deps, authorities })
  const anchor = (name: Parameters<Authorities['root']>[0]) =>
    Buffer.from(authorities.root(name).certificate.der).toString('base64')
  return signTrustStatement(
    {
      version: 1,
      trustDomain: options.trustDomain,
      oidArc: options.oidArc,
      anchors: { mesh: anchor('mesh-root'), artifact: anchor('artifact-root'), evidence: anchor('evidence-root') },
      stateSigners: { active: active.publicKey.spkiSha256Hex, spare: spare.publicKey.spkiSha256Hex },
      retired: [],
    },
    jwsSigner(authorities.root('mesh-root').signer, []),
  )
}

/** One file with key and chain, 0600: the only one that may hold this key. */
async function createAdmin(
  account: string,
  file: string,
  requester: Requester,
  deps: Omit<IssueDeps, 'installation'> & { installation: Installation; authorities: Authorities },
): Promise<void> {
  const signer = await memorySigner('api', 'P-256')
  const order = await adminOrder(
    {
      account,
      csr: { publicKey: signer.publicKey },
      requester,
      requestId: REQUEST_ID,
      validityMs: undefined,
      cause: 'init',
    },
    { ...deps, adminTemplate: builtinTemplates()['vcc-admin'] },
  )
  const { certificate, issuingCaId } = await issue(order, deps)
  const chain = [certificate, ...deps.authorities.chainOf(issuingCaId).slice(0, -1)]
  const pem = [signer.privateKeyPem(), ...chain.map((one) => encodePem('CERTIFICATE', one.der))].join('')
  await writeFileAtomic(file, pem, { mode: 0o600 })
}

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
  return `sha256:${createHash('sha256').update(authorities.root('mesh-root').certificate.der).digest('hex')}`
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
