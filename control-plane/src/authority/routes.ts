import { createHash } from 'node:crypto'
import type { Authority as AuthorityView, RouteInput } from '@vcc/api'
import type { KeyStore } from '@vcc/keys'
import { parseDuration } from '@vcc/runtime'
import { encodePem, formatName } from '@vcc/x509'
import { appendAudit } from '../audit/append.ts'
import { isUniqueViolation } from '../database/errors.ts'
import type { Unit } from '../database/unit.ts'
import { epochSeconds, isoOf } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { AdminCaller } from '../http/caller.ts'
import type { Handlers, RequestContext } from '../http/handlers.ts'
import type { Installation } from '../installation/installation.ts'
import type { IssueDeps } from '../issuance/issue.ts'
import type { OneAtATime } from '../one-at-a-time.ts'
import type { Authorities, Authority } from './authority.ts'
import { createIssuingCa } from './create.ts'
import { HIERARCHY } from './hierarchy.ts'
import { setCrlShards } from './store.ts'

export interface AuthorityRouteDeps extends Omit<IssueDeps, 'installation'> {
  readonly installation: Installation
  readonly authorities: Authorities
  readonly keys: KeyStore
  readonly keyChanges: OneAtATime
  readonly onChange: () => Promise<void>
}

const YEAR_MS = 365 * 86_400_000

/** The CAs: which there are, their chains, and a further one. */
export function authorityRoutes(
  deps: AuthorityRouteDeps,
): Pick<Handlers, 'caList' | 'caCreate' | 'caChain' | 'caShards'> {
  return {
    caList: () => ({ items: deps.authorities.all().map((one) => view(one, deps.installation)) }),
    caChain({ params }) {
      const chain = deps.authorities.chainOf(params.ca_id)
      return { ca_id: params.ca_id, chain_pem: chain.map((one) => encodePem('CERTIFICATE', one.der)).join('') }
    },
    async caShards({ params, body }, { caller, requestId }) {
      const { caId, kind } = deps.authorities.byId(params.ca_id)
      if (kind === 'root') throw new DomainError('request_invalid', 'a root has one CRL, of all it issued')
      await deps.database.runUnit(function* (): Unit<void> {
        yield* setCrlShards(caId, body.crl_shards)
        yield* appendAudit(
          {
            event: 'CA-01',
            outcome: 'success',
            reasonCode: 'crl_shards',
            actor: { type: 'human', ref: caller.ref },
            target: { type: 'ca', id: caId },
            requestId,
            details: { crl_shards: body.crl_shards },
          },
          deps.audit,
        )
      })
      await deps.authorities.reload()
      return view(deps.authorities.byId(caId), deps.installation)
    },
    caCreate: (input, context) => deps.keyChanges(() => create(input, context, deps)),
  }
}

async function create(
  { body }: RouteInput<'caCreate'>,
  { caller, requestId }: RequestContext<AdminCaller>,
  deps: AuthorityRouteDeps,
): Promise<AuthorityView> {
  if (deps.authorities.all().some((one) => one.name === body.name)) throw exists(body.name)
  const { installation } = deps
  const row = HIERARCHY.issuing[0]
  const notBefore = new Date(epochSeconds(deps.now()) * 1000 - 300_000)
  const validityMs = validityOf(body.validity_period, row.years)
  const classes = Object.values(installation.classes)
  const created = await createIssuingCa(
    {
      name: body.name,
      profile: row.profile,
      commonName: `${row.commonName} ${body.name}`,
      organizationName: installation.homeOrganization,
      notBefore,
      notAfter: new Date(notBefore.getTime() + validityMs),
      classOids: classes,
      nameConstraints: { permittedDns: [installation.domain], permittedUriHosts: [installation.trustDomain] },
      grants: { organizations: [installation.homeOrganization], classes },
    },
    deps.authorities.root('mesh-root'),
    { requester: { type: 'human', ref: caller.ref }, requestId, cause: 'request' },
    deps,
  ).catch((error: unknown) => {
    throw isUniqueViolation(error) ? exists(body.name, error) : error // another request was faster
  })
  await deps.authorities.reload()
  await deps.onChange()
  return view(created, installation)
}

/** @throws {DomainError} `validity_refused` */
function validityOf(asked: string | undefined, years: number): number {
  const validityMs = asked === undefined ? years * YEAR_MS : parseDuration(asked).ms
  if (validityMs < LEAST_MS || validityMs > years * YEAR_MS) {
    throw new DomainError(
      'validity_refused',
      `a Services CA lives 30 days to ${years} years: it has to outlive its leaves`,
    )
  }
  return validityMs
}

const LEAST_MS = 30 * 86_400_000

function exists(name: string, cause?: unknown): DomainError {
  return new DomainError('authority_exists', `a CA ${name} exists already`, { cause })
}

function view(authority: Authority, installation: Installation): AuthorityView {
  const { certificate, signer } = authority
  const { kind } = certificate.publicKey
  const classNames = Object.entries(installation.classes)
  return {
    ca_id: authority.caId,
    name: authority.name,
    kind: authority.kind,
    parent_ca_id: authority.parentCaId ?? null,
    organization_id: authority.organizationId ?? null,
    subject_dn: formatName(certificate.subject),
    key_algorithm: kind.type === 'ec' ? kind.curve : `RSA-${kind.bits}`,
    key_held: signer.held === 'hsm' ? 'hsm' : 'software',
    classes: classNames.filter(([, oid]) => authority.grants.classes.includes(oid)).map(([name]) => name),
    state: authority.revoked ? 'revoked' : authority.active ? 'active' : 'retired',
    crl_shards: authority.crlShards,
    not_before: isoOf(epochSeconds(certificate.notBefore)),
    expires_at: isoOf(epochSeconds(certificate.notAfter)),
    fingerprint_sha256: createHash('sha256').update(certificate.der).digest('hex'),
  }
}
