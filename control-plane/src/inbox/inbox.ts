import {
  instanceTopics,
  type JwsSigner,
  MeshError,
  parseTopic,
  ReplayWindow,
  type ReplyBody,
  signReply,
  type UpKind,
  type VerifiedEnvelope,
  verifyEnvelope,
} from '@vcc/mesh'
import type { Certificate } from '@vcc/x509'
import { admitAgentCsr } from '../enrolment/csr.ts'
import type { EnrolDeps } from '../enrolment/join.ts'
import { presentedBy } from '../enrolment/presented.ts'
import { renew } from '../enrolment/renew.ts'
import { DomainError } from '../errors.ts'
import { problemFor } from '../problems.ts'
import { acknowledge, type ReportDeps, report } from './report.ts'

export type InboxDeps = EnrolDeps &
  ReportDeps & {
    readonly signer: JwsSigner
    readonly anchors: () => readonly Certificate[]
    readonly publish: (topic: string, payload: string, retain: boolean) => Promise<boolean>
    /** Whether one more message of this instance may be looked at: each costs signature checks and a commit. */
    readonly admit: (instance: string) => boolean
    readonly events: {
      /** `reason` is the code of the envelope's fault, where it is one. */
      readonly refused: (fact: { instance: string; kind: string; code: string; reason: string }) => void
      readonly failed: (fact: { instance: string; kind: string }, cause: unknown) => void
    }
  }

export interface Inbox {
  /** A message from the broker. Never throws: what is wrong with it is an event, or a signed refusal. */
  readonly fromBroker: (topic: string, payload: Uint8Array) => Promise<void>
  /** A status or acknowledgement over HTTPS. @throws {DomainError} `envelope_refused` */
  readonly report: (jws: string, instance: string) => Promise<void>
  /** The verified body of an envelope that came over HTTPS. @throws {DomainError} `envelope_refused` */
  readonly open: <K extends UpKind>(jws: string, purpose: K, instance?: string) => VerifiedEnvelope<K>
}

const REPLY_SECONDS = 120

/** What agents send: the envelope proves who and when, whatever carried it. */
export function createInbox(deps: InboxDeps): Inbox {
  const window = new ReplayWindow()

  const open = <K extends UpKind>(jws: string, purpose: K, instance?: string): VerifiedEnvelope<K> => {
    if (instance !== undefined && !deps.admit(instance)) {
      throw new DomainError('too_many_requests', 'this instance sends more than it has to')
    }
    try {
      const now = deps.now()
      const context = { anchors: deps.anchors(), now, purpose }
      const envelope = verifyEnvelope(jws, instance === undefined ? context : { ...context, expectInstance: instance })
      window.admit(envelope, now)
      return envelope
    } catch (cause) {
      if (cause instanceof MeshError) {
        throw new DomainError('envelope_refused', `${cause.message} [${cause.code}]`, { cause })
      }
      throw cause
    }
  }

  const onRenew = async (jws: string, instance: string): Promise<void> => {
    const envelope = open(jws, 'renew', instance)
    const body = await renewal(envelope, deps)
    const reply = await signReply(envelope, body, REPLY_SECONDS, deps.signer, { now: deps.now() })
    await deps.publish(instanceTopics(instance).down.reply, reply, false)
  }

  return {
    open,
    async report(jws, instance) {
      const kind = purposeOf(jws)
      if (kind === 'ack') await acknowledge(open(jws, 'ack', instance), deps)
      else await report(open(jws, 'status', instance), deps)
    },
    async fromBroker(topic, payload) {
      const parsed = parseTopic(topic)
      if (parsed?.scope !== 'up') return
      const { instance, channel } = parsed
      const jws = Buffer.from(payload).toString('latin1')
      try {
        if (channel === 'renew') await onRenew(jws, instance)
        else if (channel === 'ack') await acknowledge(open(jws, 'ack', instance), deps)
        else await report(open(jws, 'status', instance), deps)
      } catch (error) {
        if (error instanceof DomainError) deps.events.refused({ instance, kind: channel, ...codesOf(error) })
        else deps.events.failed({ instance, kind: channel }, error)
      }
    },
  }
}

async function renewal(envelope: VerifiedEnvelope<'renew'>, deps: InboxDeps): Promise<ReplyBody> {
  const { sender, correlation } = envelope
  try {
    const csr = admitAgentCsr(envelope.body.csr)
    const { issued } = await renew(presentedBy(sender), csr, { cause: 'renewal', requestId: correlation }, deps)
    const chain = [issued.certificate, ...deps.authorities.chainOf(issued.issuingCaId).slice(0, -1)]
    return { ok: true, kind: 'certificate', chain: chain.map((one) => Buffer.from(one.der).toString('base64')) }
  } catch (error) {
    if (!(error instanceof DomainError)) deps.events.failed({ instance: sender.instance, kind: 'renew' }, error)
    const { code, title, detail } = problemFor(error, correlation)
    return { ok: false, problem: { code, title, ...(detail === undefined ? {} : { detail: detail.slice(0, 500) }) } }
  }
}

function codesOf({ code, cause }: DomainError): { readonly code: string; readonly reason: string } {
  return { code, reason: cause instanceof MeshError ? cause.code : code }
}

/** Only to choose the parser; what it says is verified by that. */
function purposeOf(jws: string): 'ack' | 'status' {
  try {
    const payload: unknown = JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8'))
    return typeof payload === 'object' && payload !== null && 'kind' in payload && payload.kind === 'ack'
      ? 'ack'
      : 'status'
  } catch {
    return 'status'
  }
}
