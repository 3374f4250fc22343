import type { IssuedIdentity, RouteInput, StatePull } from '@vcc/api'
import { admitAgentCsr } from '../enrolment/csr.ts'
import { type EnrolDeps, join } from '../enrolment/join.ts'
import { presentedBy } from '../enrolment/presented.ts'
import { renew } from '../enrolment/renew.ts'
import { epochSeconds, isoOf } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { Handlers } from '../http/handlers.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { Issued } from '../issuance/issue.ts'
import { parseAddress } from '../registry/addresses.ts'
import { type InstanceRow, instanceById } from '../registry/instances-store.ts'
import { singleFlight } from '../single-flight.ts'
import type { Publisher } from '../state/publisher.ts'

export interface MeshRouteDeps extends EnrolDeps {
  readonly inbox: Inbox
  readonly publisher: Publisher
  /** An instance came: it and its neighbours are to be told. */
  readonly onChange: () => Promise<void>
}

type MeshRoutes = 'meshRoot' | 'meshJoin' | 'meshReEnrol' | 'meshRenew' | 'meshState' | 'meshReport'

const RE_ENROL_DAYS = 30
const DAY_MS = 86_400_000

/** What agents ask over HTTPS. */
export function meshRoutes(deps: MeshRouteDeps): Pick<Handlers, MeshRoutes> {
  const joinOnce = singleFlight<IssuedIdentity>()
  return {
    meshRoot: () => ({
      root: Buffer.from(deps.authorities.root('mesh-root').certificate.der).toString('base64'),
      trustStatement: deps.installation.trustStatement,
    }),
    meshJoin({ body }, { requestId }) {
      const csr = admitAgentCsr(body.csr)
      return joinOnce(`${body.token} ${csr.publicKey.spkiSha256Hex}`, async () => {
        const addresses = addressesOf(body)
        const request = {
          token: body.token,
          csr,
          addresses,
          stateFormats: body.stateFormats,
          agentVersion: body.version,
        }
        const joined = await join({ ...request, requestId }, deps)
        await deps.onChange()
        return identityView(joined, deps)
      })
    },
    async meshReEnrol({ body }, { requestId }) {
      const envelope = deps.inbox.open(body.envelope, 're-enrol')
      const { sender } = envelope
      if (deps.now().getTime() - sender.certificate.notAfter.getTime() > RE_ENROL_DAYS * DAY_MS) {
        throw new DomainError('re_enrolment_too_late', `the certificate ended more than ${RE_ENROL_DAYS} days ago`, {
          hint: 'join again with a new token: vcc-pki tokens create SERVICE',
        })
      }
      const csr = admitAgentCsr(envelope.body.csr)
      const renewed = await renew(presentedBy(sender), csr, { cause: 're-enrolment', requestId }, deps)
      await deps.onChange()
      return identityView({ instance: sender.instance, ...namesOf(renewed), issued: renewed.issued }, deps)
    },
    async meshRenew({ body }, { caller, requestId }) {
      const envelope = deps.inbox.open(body.envelope, 'renew', caller.instance)
      const csr = admitAgentCsr(envelope.body.csr)
      const renewed = await renew(presentedBy(envelope.sender), csr, { cause: 'renewal', requestId }, deps)
      return identityView({ instance: caller.instance, ...namesOf(renewed), issued: renewed.issued }, deps)
    },
    async meshState({ query }, { caller }) {
      const { fleet, agent } = await deps.publisher.pull(caller.instance, { fleet: query.fleet, agent: query.agent })
      if (agent === undefined)
        throw new DomainError('unavailable', 'the state of this instance is being made', { hint: 'try again shortly' })
      const instance = await deps.database.read(() => instanceById(caller.instance))
      return {
        fleet,
        agent,
        ...(instance === undefined ? {} : { acknowledged: heardOf(instance, epochSeconds(deps.now())) }),
      }
    },
    async meshReport({ body }, { caller }) {
      await deps.inbox.report(body.envelope, caller.instance)
      return { accepted: true }
    },
  }
}

/** @throws {DomainError} `addresses_refused` */
function addressesOf(body: RouteInput<'meshJoin'>['body']) {
  return (body.addresses ?? []).map((text) => {
    const address = parseAddress(text)
    if (address === undefined)
      throw new DomainError('addresses_refused', `${text} is not an address of the form host:port`)
    return address
  })
}

function heardOf(row: InstanceRow, now: number): NonNullable<StatePull['acknowledged']> {
  return {
    epoch: row.acknowledged_epoch,
    fleet: row.acknowledged_fleet_generation,
    agent: row.acknowledged_agent_generation,
    serial: row.served_serial,
    silentSeconds: row.last_seen === null ? null : Math.max(0, now - row.last_seen),
  }
}

function namesOf({ service }: { service: { organization_id: string; service_name: string } }) {
  return { organization: service.organization_id, service: service.service_name }
}

function identityView(
  joined: { instance: string; organization: string; service: string; issued: Issued },
  deps: MeshRouteDeps,
): IssuedIdentity {
  const { certificate, issuingCaId } = joined.issued
  const chain = [certificate, ...deps.authorities.chainOf(issuingCaId).slice(0, -1)]
  return {
    instance: joined.instance,
    organization: joined.organization,
    service: joined.service,
    chain: chain.map((one) => Buffer.from(one.der).toString('base64')),
    notAfter: isoOf(epochSeconds(certificate.notAfter)),
  }
}
