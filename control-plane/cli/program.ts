import { readFileSync } from 'node:fs'
import { type Command, createProgram } from '@vcc/runtime'
import { addAuthorities } from './authorities.ts'
import { addCertificates } from './certificates.ts'
import { addCheck } from './check.ts'
import { addConfigure } from './configure.ts'
import { addCrl } from './crl.ts'
import { addDenials } from './denials.ts'
import { addInstances } from './instances.ts'
import { addKeys } from './keys.ts'
import { addPolicy } from './policy.ts'
import { addRevoke } from './revoke.ts'
import { addServices } from './services.ts'
import { addStatus } from './status.ts'
import { addTokens } from './tokens.ts'

/** `vcc-pki`: what admins do, from anywhere, over the API. It knows nothing that the API does not say. */
export function program(): Command {
  const root = createProgram('vcc-pki', 'Administers a VCC-PKI control plane over its API.', version())
  root.addHelpText('after', HELP)
  for (const add of [
    addConfigure,
    addStatus,
    addServices,
    addTokens,
    addInstances,
    addPolicy,
    addCheck,
    addCertificates,
    addAuthorities,
    addKeys,
    addRevoke,
    addDenials,
    addCrl,
  ]) {
    add(root)
  }
  return root
}

const HELP = `
First steps:
  vcc-pki configure --api-url https://control.vcc.internal:8444 --client-cert admin.pem --fingerprint sha256:…
  vcc-pki services register argus
  vcc-pki policy apply vcc_service_auth_matrix.yml
  vcc-pki tokens create argus --output argus.token

Exit codes: 0 done, 1 failed, 2 usage, 3 answered "no", 4 not allowed, 5 not found, 6 conflict, 7 unreachable, 8 pending.`

function version(): string {
  const file = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(file) as { version: string }).version // our own file
}
