import { type KeyStore, memorySigner } from '@vcc/keys'
import { jwsSigner, signTrustStatement } from '@vcc/mesh'
import { writeFileAtomic } from '@vcc/runtime'
import { encodePem } from '@vcc/x509'
import type { Authorities, Authority } from '../authority/authority.ts'
import { createIssuingCa, createRoot } from '../authority/create.ts'
import { CLASSICAL_SIGNATURES_END, CONSTRAINED, GRANTS_CLASSES, HIERARCHY, ROOT_YEARS } from '../authority/hierarchy.ts'
import { adminOrder } from '../certificates/admin.ts'
import { epochSeconds } from '../epoch.ts'
import type { Installation } from '../installation/installation.ts'
import { type IssueDeps, issue, type Requester } from '../issuance/issue.ts'
import { createStateSigner } from '../state/signer.ts'
import { builtinTemplates } from '../templates/template.ts'
import type { InitOptions } from './options.ts'

export const REQUEST_ID = 'init'
const YEAR_MS = 365 * 86_400_000
const BACKDATE_MS = 300_000

/** Every root and issuing CA of the table. */
export async function createHierarchy(
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
export async function createTrust(
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
export async function createAdmin(
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
