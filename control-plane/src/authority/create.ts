import type { KeySpec, KeyStore, Signer } from '@vcc/keys'
import {
  assembleCertificate,
  buildTbs,
  type Certificate,
  decodeCertificate,
  encodeName,
  lintTbs,
  type MeshNameConstraints,
  type ProfileName,
} from '@vcc/x509'
import { appendAudit } from '../audit/append.ts'
import { DatabaseError, storageError } from '../database/errors.ts'
import type { Unit } from '../database/unit.ts'
import { type IssueDeps, issue, type Requester } from '../issuance/issue.ts'
import { drawSerial } from '../issuance/serial.ts'
import type { Authority, Grants } from './authority.ts'
import { insertAuthority, insertRootCertificate } from './store.ts'

export interface NewRoot {
  readonly profile: ProfileName
  readonly commonName: string
  readonly organizationName: string
  readonly spec: KeySpec
  readonly notBefore: Date
  readonly notAfter: Date
}

type CreateDeps = IssueDeps & { readonly keys: KeyStore }

/**
 * A self-signed root. Signed before it is on record, as nothing else is: nobody can trust it before `init` ends, and
 * an `init` that does not end leaves nothing behind.
 */
export async function createRoot(root: NewRoot, requester: Requester, deps: CreateDeps): Promise<Authority> {
  const signer = await deps.keys.generate('root', root.spec)
  const serialHex = drawSerial()
  const tbs = buildTbs({
    profile: root.profile,
    serialHex,
    issuer: 'self',
    subject: caName(root.commonName, root.organizationName),
    publicKey: signer.publicKey,
    notBefore: root.notBefore,
    notAfter: root.notAfter,
    oidArc: deps.installation.oidArc,
  })
  lintTbs(tbs)
  const certificate = decodeCertificate(assembleCertificate(tbs, signer.algorithm, await signer.sign(tbs.der)))
  const authority = authorityOf(certificate, signer, {
    name: root.profile,
    kind: 'root',
    profile: root.profile,
    grants: NOTHING,
  })
  await deps.database.runUnit(function* (): Unit<void> {
    yield* insertAuthority(authority, deps.now())
    yield* insertRootCertificate(authority, deps.now())
    yield* appendAudit(
      {
        event: 'CA-01',
        outcome: 'success',
        actor: { type: requester.type, ref: requester.ref },
        target: { type: 'ca', id: authority.caId },
      },
      deps.audit,
    )
  })
  return authority
}

export interface NewIssuingCa {
  readonly name: string
  readonly profile: ProfileName
  readonly commonName: string
  readonly organizationName: string
  readonly organizationId?: string
  readonly notBefore: Date
  readonly notAfter: Date
  readonly classOids?: readonly string[]
  readonly nameConstraints?: MeshNameConstraints
  readonly grants?: Grants
}

/** An issuing CA under `root`, P-256, path length 0; on record like every certificate, and usable from its commit on. */
export async function createIssuingCa(
  ca: NewIssuingCa,
  root: Authority,
  context: { requester: Requester; requestId: string; cause: 'init' | 'request' },
  deps: CreateDeps,
): Promise<Authority> {
  const signer = await deps.keys.generate('issuing', 'P-256')
  try {
    return await certifyIssuingCa(ca, signer, root, context, deps)
  } catch (error) {
    // Whether a commit that failed was kept shows at the next start, and a CA without its key would keep it from starting.
    if (error instanceof DatabaseError || storageError(error) !== undefined) throw error
    await deps.keys.delete(signer.keyId).catch(() => {}) // a key of no CA: what is to be told is why it has none
    throw error
  }
}

async function certifyIssuingCa(
  ca: NewIssuingCa,
  signer: Signer,
  root: Authority,
  context: Parameters<typeof createIssuingCa>[2],
  deps: CreateDeps,
): Promise<Authority> {
  const about = { name: ca.name, kind: 'issuing', profile: ca.profile, grants: ca.grants ?? NOTHING } as const
  const more = {
    parentCaId: root.caId,
    ...(ca.organizationId === undefined ? {} : { organizationId: ca.organizationId }),
  }
  const notAfter = ca.notAfter < root.certificate.notAfter ? ca.notAfter : root.certificate.notAfter
  const { certificate } = await issue(
    {
      issuer: root,
      profile: ca.profile,
      subject: caName(ca.commonName, ca.organizationName),
      publicKey: signer.publicKey,
      notBefore: ca.notBefore,
      notAfter,
      ...(ca.classOids ? { classOids: ca.classOids } : {}),
      ...(ca.nameConstraints ? { nameConstraints: ca.nameConstraints } : {}),
      record: {
        organization: ca.organizationId ?? null,
        serviceId: null,
        instanceId: null,
        className: null,
        template: null,
        purpose: 'ca',
        cause: context.cause,
        autoRenewal: false,
      },
      requester: context.requester,
      requestId: context.requestId,
      settle: ({ der }) =>
        insertAuthority(authorityOf(decodeCertificate(der), signer, { ...about, ...more }), deps.now()),
    },
    deps,
  )
  return authorityOf(certificate, signer, { ...about, ...more })
}

const NOTHING: Grants = { organizations: [], classes: [] }

function caName(commonName: string, organizationName: string) {
  return encodeName([
    { type: 'O', value: organizationName },
    { type: 'CN', value: commonName },
  ])
}

function authorityOf(
  certificate: Certificate,
  signer: Signer,
  about: {
    name: string
    kind: 'root' | 'issuing'
    profile: ProfileName
    grants: Grants
    parentCaId?: string
    organizationId?: string
  },
): Authority {
  return {
    caId: certificate.publicKey.spkiSha256Hex.slice(0, 32),
    parentCaId: undefined,
    organizationId: undefined,
    ...about,
    certificate,
    signer,
    crlShards: 1,
    active: true,
    revoked: false,
  }
}
