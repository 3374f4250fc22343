import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memorySigner } from '@vcc/keys'
import { parseYamlConfig, readKeyFile } from '@vcc/runtime'
import { buildCsr, type VerifiedCsr, verifyCsr } from '@vcc/x509'
import type { AuditDeps } from '../audit/append.ts'
import { openAuthorities } from '../authority/authority.ts'
import { ConfigShape } from '../config.ts'
import { openDatabase } from '../database/open.ts'
import type { EnrolDeps } from '../enrolment/join.ts'
import { createToken } from '../enrolment/tokens.ts'
import { init } from '../init/init.ts'
import { checkOptions } from '../init/options.ts'
import { pathsOf } from '../init/paths.ts'
import { loadInstallation } from '../installation/installation.ts'
import { openKeys } from '../keys/open.ts'
import { oneAtATime } from '../one-at-a-time.ts'
import { applyMatrix } from '../policies/apply.ts'
import { readPolicyInForce } from '../policies/in-force.ts'
import { registerService } from '../registry/services.ts'
import { serviceByName } from '../registry/store.ts'
import { builtinTemplates } from '../templates/template.ts'

export const MATRIX = `service_communication_policies:
  argus:
    allowed_outbound: [covina]
    required_auth: mtls_certificate
  covina:
    allowed_outbound: []
    required_auth: management_core_certificate
`

const ACTOR = '0'.repeat(32)

/** A real installation in a folder of its own: database, key store, CAs, and a policy with two services. */
export async function testInstallation() {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-control-'))
  const config = parseYamlConfig(
    [
      `data: ${folder}/data`,
      'secrets:',
      `  database_key_file: ${folder}/secrets/database.key`,
      `  key_store_key_file: ${folder}/secrets/key-store.key`,
    ].join('\n'),
    'vcc-control.yml',
    ConfigShape,
  )
  let offsetMs = 0
  const now = () => new Date(Date.now() + offsetMs)
  const options = checkOptions({
    statusUrl: 'http://pki.example.org',
    rootKey: 'P-384',
    outageBudgetMs: 72 * 3_600_000,
  })
  await init(options, config, { now, progress: () => {} })
  const paths = pathsOf(config.data)
  const database = openDatabase(
    { path: paths.database, key: await readKeyFile(config.secrets.database_key_file) },
    { now },
  )
  const keys = await openKeys(config, paths.keys)
  const installation = await loadInstallation(database)
  const authorities = await openAuthorities({ database, keys })
  const audit: AuditDeps = { now: () => Temporal.Now.instant(), source: { component: 'test', build: '0' } }
  const base = { database, audit, installation, authorities, keys, keyChanges: oneAtATime(), owner: randomUUID(), now }
  let policy = await readPolicyInForce(installation, database)
  const onChange = async () => {
    policy = await readPolicyInForce(installation, database)
  }
  const context = { organization: 'brandenburg', actor: ACTOR, requestId: 'test' }
  const registry = { ...base, onChange, onRetired: () => {} }
  for (const service_name of ['argus', 'covina']) await registerService({ service_name }, context, registry)
  const policyDeps = { ...base, policyInForce: () => policy, onChange }
  await applyMatrix(MATRIX, null, context, policyDeps)
  const enrol: EnrolDeps = {
    ...base,
    policyInForce: () => policy?.index,
    serviceTemplate: builtinTemplates()['vcc-service'],
  }
  return {
    ...base,
    config,
    context,
    registry,
    policyDeps,
    enrol,
    /** Moves the installation's clock. */
    advance: (ms: number) => {
      offsetMs += ms
    },
    /** A token for a service, by name. */
    async token(service: string, lifetimeSeconds = 3600): Promise<string> {
      const rows = await database.read(() => servicesNamed(service))
      return (await createToken({ serviceId: rows, lifetimeSeconds }, context, base)).token
    },
    async [Symbol.asyncDispose]() {
      await keys[Symbol.asyncDispose]()
      await database.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export type TestInstallation = Awaited<ReturnType<typeof testInstallation>>

/** A CSR over a new P-256 key, as an agent makes it. */
export async function newCsr(): Promise<VerifiedCsr> {
  return verifyCsr(await buildCsr(await memorySigner('api', 'P-256')))
}

function* servicesNamed(name: string) {
  const row = yield* serviceByName('brandenburg', name)
  return row?.service_id ?? ''
}
