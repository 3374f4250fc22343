import type { CertificateStatus, CertificateSummary, RouteInput } from '@vcc/api'
import { parseDuration } from '@vcc/runtime'
import { encodePem } from '@vcc/x509'
import { admitPersonCsr } from '../enrolment/csr.ts'
import { drawInstanceId, identityOrder } from '../enrolment/identity.ts'
import type { EnrolDeps } from '../enrolment/join.ts'
import { epochSeconds, isoOf, isoOrNull } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { AdminCaller } from '../http/caller.ts'
import { decodeCursor, encodeCursor } from '../http/cursor.ts'
import type { Handlers, RequestContext } from '../http/handlers.ts'
import { issue } from '../issuance/issue.ts'
import { findService } from '../registry/services.ts'
import { servicesOf } from '../registry/store.ts'
import { type Template, validityWithin } from '../templates/template.ts'
import { adminOrder } from './admin.ts'
import { bindIdempotency, settleIdempotency } from './idempotency.ts'
import { certificateNamed } from './named.ts'
import { type CertificateRow, certificateLine, certificatePage } from './store.ts'

export interface CertificateRouteDeps extends EnrolDeps {
  readonly adminTemplate: Template
}

type CertificateRoutes = 'certRequest' | 'certList' | 'certStatus' | 'certHistory' | 'templateList' | 'templateShow'

/** Certificates of every purpose: issue for a CSR, find, look at. */
export function certificateRoutes(deps: CertificateRouteDeps): Pick<Handlers, CertificateRoutes> {
  const organization = deps.installation.homeOrganization
  const templates = [deps.serviceTemplate, deps.adminTemplate]
  return {
    certRequest: ({ body }, context) => request(body, context, deps),
    certList: ({ query }) =>
      deps.database.read(function* () {
        const { limit = 50, after, service, expires_before, serial, instance, ...filter } = query
        const only = service === undefined ? undefined : yield* findService(service, organization)
        const rows = yield* certificatePage(
          organization,
          {
            ...filter,
            service_id: only?.service_id,
            instance_id: instance,
            serial_number: serial,
            expiresBefore: expires_before === undefined ? undefined : epochSeconds(new Date(expires_before)),
          },
          decodeCursor(after),
          limit,
          epochSeconds(deps.now()),
        )
        const names = namesOf(yield* servicesOf(organization))
        return { items: rows.map((row) => summary(row, names, deps)), next: encodeCursor(rows, limit) }
      }),
    certStatus: ({ params }) =>
      deps.database.read(function* () {
        const row = yield* certificateNamed(params.cert_id, organization)
        return statusView(row, namesOf(yield* servicesOf(organization)), deps)
      }),
    certHistory: ({ params }) =>
      deps.database.read(function* () {
        const row = yield* certificateNamed(params.cert_id, organization)
        const names = namesOf(yield* servicesOf(organization))
        const line = yield* certificateLine(row, organization)
        return { items: line.map((each) => ({ ...summary(each, names, deps), cause: each.cause })) }
      }),
    templateList: () => ({ items: templates.map(({ id, yaml }) => ({ template_id: id, builtin: true, yaml })) }),
    templateShow({ params }) {
      const template = templates.find(({ id }) => id === params.template_id)
      if (template === undefined)
        throw new DomainError('template_unknown', `there is no template ${params.template_id}`)
      return { template_id: template.id, builtin: true, yaml: template.yaml }
    },
  }
}

async function request(
  body: RouteInput<'certRequest'>['body'],
  { caller, requestId }: RequestContext<AdminCaller>,
  deps: CertificateRouteDeps,
) {
  const csr = admitPersonCsr(body.csr)
  const requester = { type: 'human', ref: caller.ref } as const
  const order =
    body.template === 'vcc-admin'
      ? await adminOrder(
          { account: body.account, csr, requester, requestId, validityMs: asked(body.validity_period) },
          deps,
        )
      : await serviceOrder(body, csr, { requester, requestId }, deps)
  const key = body.idempotency_key
  const idempotency = key === undefined ? undefined : { scope: caller.ref, key, request: body }
  const issued = await issue(
    idempotency === undefined
      ? order
      : {
          ...order,
          bind: ({ intentId }) => bindIdempotency(idempotency, intentId, deps),
          settle: ({ certId }) => settleIdempotency(idempotency, certId),
        },
    deps,
  )
  const chain = [issued.certificate, ...deps.authorities.chainOf(issued.issuingCaId)]
  return {
    cert_id: `${issued.issuingCaId}-${issued.certificate.serialHex}`,
    serial_number: issued.certificate.serialHex,
    chain_pem: chain.map((one) => encodePem('CERTIFICATE', one.der)).join(''),
    expires_at: isoOf(epochSeconds(issued.certificate.notAfter)),
  }
}

/** A certificate for a registered service that has no agent of ours: its instance is named, and never renewed by us. */
async function serviceOrder(
  body: RouteInput<'certRequest'>['body'],
  csr: ReturnType<typeof admitPersonCsr>,
  by: { requester: { type: 'human'; ref: string }; requestId: string },
  deps: CertificateRouteDeps,
) {
  const name = body.service_name
  if (name === undefined) throw new DomainError('request_invalid', 'the template vcc-service needs service_name')
  const service = await deps.database.read(() => findService(name, deps.installation.homeOrganization))
  const validityMs = validityWithin(deps.serviceTemplate, asked(body.validity_period))
  const serviceTemplate = { ...deps.serviceTemplate, validityMs }
  const order = identityOrder(
    { service, instance: drawInstanceId(), csr, cause: 'request', ...by },
    { ...deps, serviceTemplate },
  )
  return { ...order, record: { ...order.record, autoRenewal: false } }
}

function asked(period: string | undefined): number | undefined {
  return period === undefined ? undefined : parseDuration(period).ms
}

function summary(
  row: CertificateRow,
  names: ReadonlyMap<string, string>,
  deps: { now: () => Date },
): CertificateSummary {
  return {
    cert_id: `${row.issuing_ca_id}-${row.serial_number}`,
    serial_number: row.serial_number,
    issuing_ca_id: row.issuing_ca_id,
    organization_id: row.organization_id,
    service_name: row.service_id === null ? null : (names.get(row.service_id) ?? null),
    instance_id: row.instance_id,
    subject_dn: row.subject_dn,
    uri: row.uri,
    dns_names: JSON.parse(row.dns_names) as string[], // written at issuance
    class: row.class,
    purpose: row.purpose,
    template: row.template,
    spki_sha256: row.spki_sha256,
    state: stateOf(row, epochSeconds(deps.now())),
    not_before: isoOf(row.not_before),
    created_at: isoOf(row.created_at),
    expires_at: isoOf(row.expires_at),
  }
}

function statusView(
  row: CertificateRow,
  names: ReadonlyMap<string, string>,
  deps: { now: () => Date },
): CertificateStatus {
  return {
    ...summary(row, names, deps),
    certificate_pem: row.der === null ? null : encodePem('CERTIFICATE', row.der),
    revoked_at: isoOrNull(row.revoked_at),
    revocation_reason: row.revocation_reason,
  }
}

function stateOf(row: CertificateRow, now: number): CertificateSummary['state'] {
  if (row.state === 'orphaned') return 'orphaned'
  if (row.revoked_at !== null) return 'revoked'
  return row.expires_at < now ? 'expired' : 'valid'
}

function namesOf(services: readonly { service_id: string; service_name: string }[]): ReadonlyMap<string, string> {
  return new Map(services.map((one) => [one.service_id, one.service_name]))
}
