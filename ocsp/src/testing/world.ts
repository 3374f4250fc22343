import { type FakeClock, fakeClock, ocspResponder, secondsAfter, type TestCredential, testPki } from '@vcc/testkit'
import {
  type Certificate,
  encodeCertId,
  encodeOcspRequest,
  type OcspVerifyOptions,
  type TbsSigner,
  type VerifiedOcspResponse,
  verifyOcspResponse,
} from '@vcc/x509'
import type { Answer } from '../answer.ts'
import { createResponder, type Responder, type ResponderDeps } from '../responder.ts'
import { currentResponderKey, type ResponderKey, responderKey } from '../responder-key.ts'
import type { CertificateStatus, ServedIssuer, Standing, StatusSource } from '../status-source.ts'

/** A CA with certificates on record, responder keys and a clock: everything a responder stands on, all of it changeable. */
export interface World {
  readonly clock: FakeClock
  readonly pki: ReturnType<typeof testPki>
  readonly ca: TestCredential
  readonly otherCa: TestCredential
  readonly leaf: TestCredential
  readonly source: StatusSource
  /** What is on record of the CA, by serial. Changing a status is `record`. */
  readonly record: (serialHex: string, status: CertificateStatus) => void
  readonly standing: { -readonly [Part in keyof Standing]: Standing[Part] }
  readonly keys: Map<string, ResponderKey[]>
  readonly deps: ResponderDeps
  readonly responder: (changes?: Partial<ResponderDeps>) => Responder
  readonly verify: (answer: Answer, changes?: Partial<OcspVerifyOptions>) => VerifiedOcspResponse
}

export const CA_ID = '00112233445566778899aabbccddeeff'
export const OTHER_CA_ID = 'ffeeddccbbaa99887766554433221100'
export const STARTED = new Date('2026-11-26T12:00:00Z')

/** @param at The present, for what is judged by the machine's clock. */
export function world(at: Date = STARTED): World {
  const start = secondsAfter(at, 0)
  const clock = fakeClock(start)
  const pki = testPki({ now: start })
  const ca = pki.servicesCa
  const otherCa = pki.otherServicesCa
  const leaf = pki.service('argus')
  const records = new Map<string, CertificateStatus>([[leaf.certificate.serialHex, { status: 'good' }]])
  const issuers: readonly ServedIssuer[] = [
    { id: CA_ID, certificate: ca.certificate },
    { id: OTHER_CA_ID, certificate: otherCa.certificate },
  ]
  const standing = { generation: 1, asOfSeconds: seconds(start), validUntilSeconds: seconds(start) + 86_400 }
  const source: StatusSource = {
    issuers: () => issuers,
    standing: () => ({ ...standing }),
    status: (issuerId, serialHex) =>
      (issuerId === CA_ID ? records.get(serialHex) : undefined) ?? { status: 'unknown', why: 'never_issued' },
  }
  const keys = new Map([
    [CA_ID, [mintResponderKey(ca, start)]],
    [OTHER_CA_ID, [mintResponderKey(otherCa, start)]],
  ])
  const deps: ResponderDeps = {
    source,
    keyOf: (issuerId) => currentResponderKey(keys.get(issuerId) ?? [], clock.now()),
    now: clock.now,
  }
  return {
    clock,
    pki,
    ca,
    otherCa,
    leaf,
    source,
    record: (serialHex, status) => {
      records.set(serialHex, status)
      standing.generation += 1
    },
    standing,
    keys,
    deps,
    responder: (changes) => createResponder({ ...deps, ...changes }),
    verify: (answer, changes) =>
      verifyOcspResponse(answer.der, {
        certificate: leaf.certificate,
        issuer: ca.certificate,
        at: clock.now(),
        ...changes,
      }),
  }
}

/** A responder key of this CA (see `ocspResponder` of the test kit), its signer wrapped. */
export function mintResponderKey(
  ca: TestCredential,
  from: Date,
  forSeconds?: number,
  wrap: (signer: TbsSigner) => TbsSigner = (signer) => signer,
): ResponderKey {
  const { certificate, signer } = ocspResponder(ca, from, forSeconds)
  return responderKey(certificate, wrap(signer))
}

/** The shortest request about this certificate. */
export function ask(
  issuer: TestCredential,
  certificate: Pick<Certificate, 'serialHex'>,
  by: Parameters<typeof encodeCertId>[2] = 'sha256',
  nonce?: Uint8Array,
): Uint8Array {
  return encodeOcspRequest([encodeCertId(issuer.certificate, certificate.serialHex, by)], nonce)
}

export const seconds = (instant: Date): number => Math.floor(instant.getTime() / 1000)
export const REVOKED_AT = new Date('2026-11-26T11:00:00Z')
export const REVOKED: CertificateStatus = { status: 'revoked', at: REVOKED_AT, reason: 'keyCompromise' }
