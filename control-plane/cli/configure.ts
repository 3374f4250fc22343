import { resolve } from 'node:path'
import { verifyTrustStatement } from '@vcc/mesh'
import { CliError, type Command, type Format, Option, printResult, readSecretText, withFormat } from '@vcc/runtime'
import { encodePem } from '@vcc/x509'
import { fetchRoot, open } from './connection.ts'
import { contextFile, readContext, writeContext } from './context.ts'
import { facts } from './words.ts'

interface Flags {
  readonly apiUrl: string
  readonly clientCert: string
  readonly fingerprint: string
  readonly authToken?: string
  readonly format: Format
}

/** `configure` and `context`. */
export function addConfigure(root: Command): void {
  withFormat(root.command('configure').description('Set up which control plane to administer, pinned by its root.'))
    .requiredOption('--api-url <url>', 'https://host:8444 of the control plane')
    .requiredOption('--client-cert <file>', 'PEM file with key and certificate of an admin, mode 0600')
    .requiredOption('--fingerprint <sha256>', 'of the mesh root: `vcc-control fingerprint` on its machine')
    .addOption(new Option('--auth-token <value>').hideHelp())
    .addHelpText(
      'after',
      `
Example:
  vcc-pki configure --api-url https://control.vcc.internal:8444 --client-cert admin.pem --fingerprint sha256:2f21…

The context is kept in $VCC_PKI_CONFIG or ~/.config/vcc/pki.json. It names the certificate file and holds no secret.`,
    )
    .action(configure)
  withFormat(root.command('context').description('Show the configured control plane.')).action(
    async ({ format }: { format: Format }) => {
      const { rootPem: _, ...shown } = await readContext()
      printResult(format, 'Context', { file: contextFile(), ...shown }, (context) => facts(context))
    },
  )
}

async function configure(flags: Flags): Promise<void> {
  if (flags.authToken !== undefined) {
    throw new CliError(
      'usage',
      'secret_in_argv',
      'a secret on the command line can be read by everybody on this machine',
      {
        hint: 'people use --client-cert FILE; tokens for machines come with OIDC, from a file',
      },
    )
  }
  const apiUrl = urlOf(flags.apiUrl)
  const fingerprint = fingerprintOf(flags.fingerprint)
  const { root, trustStatement } = await fetchRoot(apiUrl, fingerprint)
  const { trustDomain, oidArc } = verifyTrustStatement(trustStatement, root)
  const clientCertFile = resolve(flags.clientCert)
  const context = {
    apiUrl,
    trustDomain,
    oidArc,
    rootPem: encodePem('CERTIFICATE', root.der),
    fingerprint,
    clientCertFile,
  }
  await using api = open(context, await readSecretText(clientCertFile))
  const status = await api.call('meshStatus', {})
  const file = await writeContext(context)
  const done = { file, apiUrl, trust_domain: trustDomain, version: status.version }
  printResult(flags.format, 'Context', done, () => `configured for ${apiUrl} (trust domain ${trustDomain}), in ${file}`)
}

function urlOf(text: string): string {
  const url = URL.parse(text)
  if (url?.protocol !== 'https:' || (url.pathname !== '/' && url.pathname !== '')) {
    throw new CliError('usage', 'option_invalid', `--api-url takes https://host:port, not "${text}"`)
  }
  return url.origin
}

function fingerprintOf(text: string): string {
  const digits = text
    .trim()
    .toLowerCase()
    .replace(/^sha-?256:/, '')
    .replaceAll(':', '')
  if (/^[0-9a-f]{64}$/.test(digits)) return `sha256:${digits}`
  throw new CliError('usage', 'option_invalid', `--fingerprint takes 64 hex digits, not "${text.slice(0, 100)}"`)
}
