import { ekuOid } from '@vcc/x509'
import { beforeAll, expect, test } from 'vitest'
import { acceptAgent, acceptDelta, acceptFleet, acceptRefresh } from './accept.ts'
import { canonicalJson } from './canonical.ts'
import { clockReading } from './clock.ts'
import { assertPeer } from './control-peer.ts'
import { type DenialEntry, deniedOf, mergeDenied } from './denials.ts'
import { signEnvelope, verifyEnvelope } from './envelopes.ts'
import { MESH_FAILURES, MeshError, type MeshFailure } from './errors.ts'
import {
  acceptanceOf,
  agentContentOf,
  at,
  fleetContentOf,
  INSTANCE,
  type Makers,
  makersOf,
  NOW,
  newPki,
  OTHER_INSTANCE,
  type Pki,
  SERVICE,
  signerOf,
} from './fixture.ts'
import { decodeHeldAgent } from './held-file.ts'
import { decodeJws, type JwsSigner, signJws, verifyJws } from './jws.ts'
import { ReplayWindow } from './replay.ts'
import { signReply, verifyReply } from './replies.ts'
import { replacedTrust, type TrustStatement, verifyTrustStatement } from './trust.ts'

let pki: Pki
let make: Makers

beforeAll(async () => {
  pki = await newPki()
  make = makersOf(pki)
})

const ENTRY: DenialEntry = { id: 'd', kind: 'identity', value: SERVICE, until: null }
const RENEW = { csr: 'AAAA' }
const request = { instance: INSTANCE, correlation: 'c'.repeat(22), nonce: 'n'.repeat(22) }
const envelope = (signer: JwsSigner, instance = INSTANCE) =>
  signEnvelope({ ...request, kind: 'renew', instance, body: RENEW }, 60, signer, { now: NOW })
const open = (jws: string, seconds = 0) =>
  verifyEnvelope(jws, { anchors: [pki.root.certificate], now: at(seconds), purpose: 'renew', expectInstance: INSTANCE })
const held = async () => acceptAgent(undefined, (await make.agent()).jws, acceptanceOf(pki))
const take = async (made: Promise<{ jws: string }>, seconds = 0) =>
  acceptAgent(await held(), (await made).jws, acceptanceOf(pki, seconds))
const header = (change: object) => {
  const text = canonicalJson({ alg: 'ES256', typ: 'vcc-state+jws', x5c: pki.stateSigner.x5c, ...change })
  return decodeJws(`${Buffer.from(text).toString('base64url')}.e30.e30`, 'vcc-state+jws')
}
const trust = (change: Partial<TrustStatement>) => ({ ...pki.trust, ...change })
const replay = (options: { perSender: number }, second: string) => {
  const window = new ReplayWindow(options)
  const expiresAt = '2026-03-01T12:01:00Z'
  window.admit({ instance: INSTANCE, nonce: 'a', expiresAt }, NOW)
  window.admit({ instance: INSTANCE, nonce: second, expiresAt }, NOW)
}

/** The shortest way to each code. The tables of the other tests hold many more. */
const PROVOKE: Record<MeshFailure, () => unknown> = {
  jws_too_large: () => decodeJws('x'.repeat(65_537), 'vcc-up+jws'),
  jws_malformed: () => decodeJws('a.b', 'vcc-up+jws'),
  jws_header_refused: () => header({ kid: '1' }),
  jws_type_refused: () => header({ typ: 'vcc-refresh+jws' }),
  jws_algorithm_refused: () => header({ alg: 'none' }),
  jws_key_mismatch: () => verifyJws(header({ alg: 'PS384' }), pki.active.certificate.publicKey),
  jws_certificate_malformed: () => take(make.agent(undefined, { signer: { ...pki.stateSigner, x5c: ['AAAA'] } })),
  trust_malformed: async () =>
    verifyTrustStatement(await signJws(pki.rootSigner, 'vcc-trust+jws', trust({ version: 0 })), pki.root.certificate),
  trust_signature_invalid: async () => verifyTrustStatement((await newPki()).trustJws, pki.root.certificate),
  trust_foreign: () => replacedTrust(pki.trust, trust({ trustDomain: 'other.internal' })),
  trust_stale: () => replacedTrust(trust({ version: 2 }), pki.trust),
  trust_conflict: () => replacedTrust(pki.trust, trust({ oidArc: '1.3.6.1.4.1.1' })),
  trust_retired_dropped: () => replacedTrust(trust({ retired: ['1'.repeat(64)] }), trust({ version: 2 })),
  state_malformed: () => make.agent(agentContentOf({ service: 'argus' })),
  state_format_unknown: async () => {
    const { payload } = await make.agent()
    return take(signJws(pki.stateSigner, 'vcc-state+jws', { ...payload, format: 2 }).then((jws) => ({ jws })))
  },
  state_signature_invalid: () =>
    take(make.agent(undefined, { signer: { ...pki.stateSigner, sign: pki.agentSigner.sign } })),
  state_signer_refused: () => take(make.agent(undefined, { signer: pki.agentSigner })),
  state_hash_mismatch: async () => {
    const { payload } = await make.agent()
    const jws = await signJws(pki.stateSigner, 'vcc-state+jws', { ...payload, contentHash: '0'.repeat(64) })
    return take(Promise.resolve({ jws }))
  },
  state_foreign: () => take(make.agent(undefined, { instance: OTHER_INSTANCE })),
  state_stale: async () => {
    const newer = await take(make.agent(undefined, { generation: 2 }))
    return acceptAgent(newer, (await make.agent()).jws, acceptanceOf(pki))
  },
  state_conflict: () => take(make.agent(agentContentOf({ upstreams: [] }))),
  state_expired: () => take(make.agent(undefined, { generation: 2 }), 601),
  state_gap: async () =>
    acceptRefresh(await held(), (await make.refresh({ ...(await held()), generation: 2 })).jws, acceptanceOf(pki)),
  state_signer_expired: async () =>
    make.agent(undefined, { signer: signerOf(await pki.stateLeaf('old', { notAfter: at(-1) }), pki.controlCa) }),
  denial_conflict: () =>
    mergeDenied(
      deniedOf([ENTRY]),
      { denials: [{ ...ENTRY, value: `${SERVICE}-2` }], revocations: [], releases: [] },
      NOW,
    ),
  denial_overflow: () => {
    const denials = Array.from({ length: 65_537 }, (_, i): DenialEntry => ({ ...ENTRY, id: `d${i}` }))
    return mergeDenied(deniedOf([]), { denials, revocations: [], releases: [] }, NOW)
  },
  held_malformed: () => decodeHeldAgent('{', acceptanceOf(pki)),
  envelope_malformed: () =>
    signEnvelope({ ...request, nonce: '', kind: 'renew', body: RENEW }, 60, pki.agentSigner, { now: NOW }),
  envelope_purpose_mismatch: async () => {
    const jws = await signEnvelope({ ...request, kind: 're-enrol', body: RENEW }, 60, pki.agentSigner, { now: NOW })
    return open(jws)
  },
  envelope_sender_refused: async () => open(await envelope(pki.stateSigner)),
  envelope_signature_invalid: async () => open(await envelope({ ...pki.agentSigner, sign: pki.stateSigner.sign })),
  envelope_sender_mismatch: async () => open(await envelope(pki.agentSigner, OTHER_INSTANCE)),
  envelope_expired: async () => open(await envelope(pki.agentSigner), 61),
  envelope_not_yet_valid: async () =>
    open(await envelope(signerOf(await pki.service(INSTANCE, 'argus', { notBefore: at(-900) }), pki.servicesCa)), -301),
  envelope_replayed: () => replay({ perSender: 8 }, 'a'),
  envelope_window_full: () => replay({ perSender: 1 }, 'b'),
  reply_unexpected: async () => {
    const jws = await signReply(request, { ok: true, kind: 'noted' }, 60, pki.stateSigner, { now: NOW })
    const by = { root: pki.root.certificate, trust: pki.trust, now: NOW, floor: undefined }
    return verifyReply(jws, { ...request, nonce: 'm'.repeat(22) }, by)
  },
  peer_refused: () => {
    const chain = pki.stateSigner.x5c.map((der) => Buffer.from(der, 'base64'))
    const eku = ekuOid(pki.trust.oidArc, 'api')
    assertPeer(chain, { root: pki.root.certificate, id: 'spiffe://vcc.internal/control', eku, now: () => NOW })
  },
  clock_behind: () => {
    const reading = clockReading(NOW, at(301))
    throw new MeshError(reading.state === 'behind' ? reading.code : 'state_malformed', 'a reading, not a refusal')
  },
}

test.each(Object.entries(PROVOKE))('%s', async (code, provoke) => {
  await expect((async () => provoke())()).rejects.toThrow(expect.objectContaining({ name: 'MeshError', code }))
})

test('every failure has a case', () => {
  expect(Object.keys(PROVOKE).toSorted()).toEqual(Object.keys(MESH_FAILURES).toSorted())
})

test('a message never repeats what it refuses at length', async () => {
  const fleet = acceptFleet(undefined, (await make.fleet()).jws, acceptanceOf(pki))
  const long = { ...fleetContentOf(pki), ['x'.repeat(10_000)]: 1 }
  const { payload } = await make.fleet()
  const jws = await signJws(pki.stateSigner, 'vcc-state+jws', { ...payload, content: long })
  for (const attempt of [
    () => acceptFleet(fleet, jws, acceptanceOf(pki)),
    () => acceptDelta(fleet, 'x'.repeat(10_000), acceptanceOf(pki)),
  ]) {
    try {
      attempt()
      expect.unreachable()
    } catch (error) {
      expect(error instanceof MeshError && error.message.length).toBeLessThanOrEqual(300)
    }
  }
})
