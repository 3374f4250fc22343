import { KeyError } from '@vcc/keys'
import {
  ask,
  CliError,
  type Command,
  createProgram,
  isTerminal,
  now,
  parseDuration,
  printResult,
  readKeyFile,
  showProgress,
  withFormat,
  writeOut,
} from '@vcc/runtime'
import { AuditError } from './audit/entry.ts'
import { addAudit } from './audit-commands.ts'
import { addBrokerConfig } from './broker-commands.ts'
import { type ControlConfig, configOption, readControlConfig } from './config.ts'
import { DatabaseError } from './database/errors.ts'
import { openForReading } from './database/open.ts'
import { CLOCK_HINT, DomainError } from './errors.ts'
import { init, readFingerprint } from './init/init.ts'
import { checkOptions, type GivenOptions } from './init/options.ts'
import { pathsOf } from './init/paths.ts'
import { run } from './run/run.ts'
import { VERSION } from './version.ts'

/** `vcc-control`: makes, runs and checks an installation on its own machine. Everything else is `vcc-pki`, over the API. */
export function program(): Command {
  const root = createProgram(
    'vcc-control',
    'The control plane of VCC-PKI: CAs, enrolment, policies, signed state.',
    VERSION,
  )
  root.addHelpText('after', HELP)
  addInit(root)
  addRun(root)
  addAudit(root)
  addFingerprint(root)
  addBrokerConfig(root)
  return root
}

const HELP = `
First steps:
  vcc-control init --status-url http://pki.example.org
  vcc-control run
  vcc-pki configure --api-url https://localhost:8444 --client-cert /var/lib/vcc-control/admin.pem \\
      --fingerprint "$(vcc-control fingerprint)"`

interface InitFlags extends Omit<GivenOptions, 'statusUrl' | 'outageBudgetMs'> {
  readonly config: string
  readonly statusUrl?: string
  readonly outageBudget: string
  readonly format: 'text' | 'json'
}

function addInit(root: Command): void {
  withFormat(configOption(root.command('init').description('Make an installation: roots, CAs, database, first admin.')))
    .option(
      '--status-url <url>',
      'public http:// base of CRL and OCSP, fixed in every certificate; asked for on a terminal',
    )
    .option('--trust-domain <name>', 'SPIFFE trust domain (default vcc.internal)')
    .option('--domain <name>', 'DNS domain of services (default: the trust domain)')
    .option('--org <name>', 'home organisation (default brandenburg)')
    .option('--oid-arc <oid>', 'arc of our OIDs; the default is an example and not yours')
    .option('--root-key <kind>', 'RSA-4096 or P-384 (default RSA-4096)')
    .option('--class <name...>', 'further certificate classes beside the five built in')
    .option('--admin <account>', 'account of the first admin (default admin)')
    .option('--outage-budget <duration>', 'how long agents work without control plane, 1h to 5d', '72h')
    .addHelpText(
      'after',
      `
Builds everything beside the data folder and moves it into place at the end; run again, it changes nothing.
Keys of database and key store are made where the files named by the configuration are missing.

Example:
  vcc-control init --status-url http://pki.vcc.brandenburg.de --org brandenburg --root-key P-384`,
    )
    .action(async (flags: InitFlags) => {
      const file = await readControlConfig(flags.config)
      const statusUrl = flags.statusUrl ?? (await askStatusUrl())
      const options = checkOptions({ ...flags, statusUrl, outageBudgetMs: parseDuration(flags.outageBudget).ms })
      using progress = showProgress('making the installation')
      const done = await init(options, file, { now, progress: (what) => progress.update(what) })
      const result = {
        created: done.created,
        data: file.data,
        trust_domain: done.installation.trustDomain,
        fingerprint: done.fingerprint,
        admin_file: done.adminFile,
        profile: done.installation.profile,
        keys: file.keys.store,
      }
      printResult(flags.format, 'Installation', result, () =>
        [
          done.created ? `initialised ${file.data}` : `${file.data} is initialised already; nothing was changed`,
          `trust domain     ${done.installation.trustDomain}`,
          `root fingerprint ${done.fingerprint}`,
          `first admin      ${done.adminFile} (key and certificate in one file: move it to the admin's machine)`,
          `new keys         ${keysText(file.keys.store)}`,
          'profile          one-person: ceremony and dual control are not in force',
          'next             vcc-control run',
        ].join('\n'),
      )
    })
}

/** Of those that `init` makes. */
function keysText({ root, issuing, state }: ControlConfig['keys']['store']): string {
  const where = { software: 'in files', hsm: 'in the token' } as const
  return `roots ${where[root]}, issuing CAs ${where[issuing]}, signers of state ${where[state]}`
}

async function askStatusUrl(): Promise<string> {
  if (!isTerminal('stdin')) {
    throw new CliError('usage', 'option_missing', '--status-url is missing', {
      hint: 'the public http:// address under which CRLs and OCSP will be served, as in http://pki.example.org',
    })
  }
  return ask('Public http:// address of CRL and OCSP (fixed in every certificate): ')
}

function addRun(root: Command): void {
  configOption(root.command('run').description('Serve API and broker until SIGTERM.')).action(
    async (flags: { config: string }) => {
      await run(await readControlConfig(flags.config))
    },
  )
}

function addFingerprint(root: Command): void {
  configOption(
    root.command('fingerprint').description('Print SHA-256 of the mesh root, which agents compare at join.'),
  ).action(async (flags: { config: string }) => {
    const file = await readControlConfig(flags.config)
    const paths = pathsOf(file.data)
    await using database = openForReading({
      path: paths.database,
      key: await readKeyFile(file.secrets.database_key_file),
    })
    writeOut(`${await readFingerprint(database)}\n`)
  })
}

/** What an operator can do about a failure of our own libraries. */
export function explainError(error: unknown): CliError | undefined {
  if (error instanceof DatabaseError) {
    return new CliError('failed', error.code, error.message, { cause: error, hint: error.hint })
  }
  if (error instanceof AuditError) {
    const hint =
      error.code === 'audit_clock_behind' ? CLOCK_HINT : 'vcc-control audit verify shows where the chain stands'
    return new CliError('failed', error.code, error.message, { cause: error, hint })
  }
  if (error instanceof DomainError) {
    return new CliError('failed', error.code, error.message, { cause: error, hint: error.hint })
  }
  if (error instanceof KeyError) {
    return new CliError('failed', error.code, error.message, {
      cause: error,
      hint: error.hint ?? 'check secrets.key_store_key_file and the folder of keys',
    })
  }
  return undefined
}
