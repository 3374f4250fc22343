import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import {
  assembleCertificate,
  buildTbs,
  type Certificate,
  classOid,
  DEFAULT_OID_ARC,
  decodeCertificate,
  decodePublicKey,
  encodeName,
  encodeSigned,
  encodeTbsFields,
  issuerOf,
  nodeSignatureOptions,
  type ProfileName,
  signingAlgorithmFor,
  type TbsInput,
  type TbsSigner,
} from '@vcc/x509'
import type { AgentAcceptance } from './accept.ts'
import type { AgentContent } from './agent-content.ts'
import { fleetDelta } from './deltas.ts'
import { agentDocument, fleetDocument, type RefreshTarget, refreshOf } from './documents.ts'
import type { FleetContent, IssuerEntry } from './fleet-content.ts'
import { type JwsSigner, jwsSigner } from './jws.ts'
import type { Lifetimes } from './lifetimes.ts'
import { signTrustStatement, type TrustStatement } from './trust.ts'

/** A throw-away PKI for the tests of this folder; `@vcc/testkit` builds on this package and cannot serve it. */

export const NOW = new Date('2026-03-01T12:00:00Z')
const TRUST_DOMAIN = 'vcc.internal'
export const INSTANCE = 'argus00000000001'
export const OTHER_INSTANCE = 'covina0000000002'
export const SERVICE = 'spiffe://vcc.internal/org/brandenburg/svc/argus'
export const LIFETIMES = { acceptSeconds: 600, enforceSeconds: 72 * 3600 }
export const BASE64 = (der: Uint8Array): string => Buffer.from(der).toString('base64')
export const at = (seconds: number): Date => new Date(NOW.getTime() + seconds * 1000)

export type KeySpec = 'P-256' | 'P-384' | 'RSA-3072'

/** A key and its certificate. */
export interface Party {
  readonly key: TestKey
  readonly certificate: Certificate
}

export type TestKey = TbsSigner & { readonly privateKey: KeyObject }

export function newKey(spec: KeySpec = 'P-256'): TestKey {
  const { privateKey, publicKey } =
    spec === 'RSA-3072'
      ? generateKeyPairSync('rsa', { modulusLength: 3072 })
      : generateKeyPairSync('ec', { namedCurve: spec })
  const key = decodePublicKey(publicKey.export({ type: 'spki', format: 'der' }))
  const algorithm = signingAlgorithmFor(key.kind)
  const { hash, options } = nodeSignatureOptions(algorithm)
  const signBytes = (bytes: Uint8Array) => Promise.resolve(sign(hash, bytes, { key: privateKey, ...options }))
  return { algorithm, publicKey: key, sign: signBytes, privateKey }
}

type CertificateInput = Omit<
  TbsInput,
  'serialHex' | 'issuer' | 'subject' | 'publicKey' | 'notBefore' | 'notAfter' | 'oidArc'
> & {
  readonly commonName: string
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly oidArc?: string
}

async function issue(issuer: Party | 'self', input: CertificateInput, key: TestKey = newKey()): Promise<Party> {
  const { commonName, notBefore, notAfter, oidArc = DEFAULT_OID_ARC, ...rest } = input
  const tbs = buildTbs({
    ...rest,
    serialHex: `4a${randomBytes(19).toString('hex')}`,
    issuer: issuer === 'self' ? 'self' : issuerOf(issuer.certificate),
    subject: encodeName([{ type: 'CN', value: commonName }]),
    publicKey: key.publicKey,
    notBefore: notBefore ?? at(-300),
    notAfter: notAfter ?? at(300 * 86_400),
    oidArc,
  })
  const by = issuer === 'self' ? key : issuer.key
  const der = assembleCertificate(tbs, by.algorithm, await by.sign(tbs.der))
  return { key, certificate: decodeCertificate(der) }
}

export function signerOf(leaf: Party, ...issuers: readonly Party[]): JwsSigner {
  return jwsSigner(
    leaf.key,
    [leaf, ...issuers].map(({ certificate }) => certificate.der),
  )
}

/** The leaf again with another extended key usage extension: what no profile of ours writes. */
export async function withExtKeyUsage(
  leaf: Party,
  issuer: Party,
  usages: readonly Uint8Array[],
  critical: boolean,
): Promise<Party> {
  const { certificate, key } = leaf
  const kept = certificate.extensions.all.filter(({ oid }) => oid.startsWith('2.5.29.') && oid !== '2.5.29.37')
  const extensions = [
    ...kept.map(({ oid, critical: was, valueDer }) => extension(oid, was, valueDer)),
    extension('2.5.29.37', critical, tlv(0x30, Buffer.concat(usages))),
  ]
  const tbsDer = encodeTbsFields({
    serial: randomBytes(8).fill(1, 0, 1),
    algorithm: issuer.key.algorithm,
    issuer: certificate.issuer,
    subject: certificate.subject,
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    spkiDer: certificate.publicKey.spkiDer,
    extensions,
  })
  const der = encodeSigned(tbsDer, issuer.key.algorithm, await issuer.key.sign(tbsDer))
  return { key, certificate: decodeCertificate(der) }
}

/** The KeyPurposeIds in a certificate, as DER. */
export function usagesOf({ certificate }: Party): Uint8Array[] {
  const value = certificate.extensions.all.find(({ oid }) => oid === '2.5.29.37')?.valueDer ?? new Uint8Array()
  const usages: Uint8Array[] = []
  for (let i = 2; i < value.length; i += 2 + (value[i + 1] ?? 0))
    usages.push(value.subarray(i, i + 2 + (value[i + 1] ?? 0)))
  return usages
}

function extension(oid: string, critical: boolean, valueDer: Uint8Array): Uint8Array {
  const arc = Number(oid.split('.')[3])
  const flag = critical ? [0x01, 0x01, 0xff] : []
  return tlv(0x30, Buffer.concat([Uint8Array.of(0x06, 3, 0x55, 0x1d, arc), Uint8Array.from(flag), tlv(0x04, valueDer)]))
}

function tlv(tag: number, content: Uint8Array): Buffer {
  const { length } = content
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Uint8Array.from(head), content])
}

export type Pki = Awaited<ReturnType<typeof newPki>>

export async function newPki(options: { readonly root?: KeySpec; readonly trustDomain?: string } = {}) {
  const trustDomain = options.trustDomain ?? TRUST_DOMAIN
  const status = {
    crlUrl: 'http://pki.vcc.internal:8080/crl/0.crl',
    ocspUrl: 'http://pki.vcc.internal:8080/ocsp',
    caIssuersUrl: 'http://pki.vcc.internal:8080/ca/1.cer',
  }
  const nameConstraints = { permittedDns: [trustDomain], permittedUriHosts: [trustDomain] }
  const longLived = { notBefore: at(-400 * 86_400), notAfter: at(3000 * 86_400) }
  const anchor = (profile: ProfileName, commonName: string, spec: KeySpec) =>
    issue('self', { profile, commonName, notBefore: at(-400 * 86_400), notAfter: at(9000 * 86_400) }, newKey(spec))
  const root = await anchor('mesh-root', 'VCC Mesh Root', options.root ?? 'P-384')
  const artifact = await anchor('artifact-root', 'VCC Artifact Root', 'P-384')
  const evidence = await anchor('evidence-root', 'VCC Evidence Root', 'P-384')
  const ca = (profile: ProfileName, commonName: string, more: Partial<CertificateInput> = {}) =>
    issue(root, { profile, commonName, ...status, nameConstraints, ...longLived, ...more })
  const controlCa = await ca('control-ca', 'VCC Control CA')
  const servicesCa = await ca('services-ca', 'VCC Services CA', { classes: [classOid(DEFAULT_OID_ARC, 1)] })
  const stateLeaf = (commonName: string, more: Partial<CertificateInput> = {}, issuer: Party = controlCa) =>
    issue(issuer, { profile: 'state-signer', commonName, ...status, ...more })
  const active = await stateLeaf('state 1')
  const spare = await stateLeaf('state 2')
  const service = (instance: string, name = 'argus', more: Partial<CertificateInput> = {}) =>
    issue(servicesCa, {
      profile: 'service',
      commonName: instance,
      ...status,
      uris: [`spiffe://${trustDomain}/org/brandenburg/svc/${name}`],
      dnsNames: [`${name}.brandenburg.${trustDomain}`],
      classes: [classOid(DEFAULT_OID_ARC, 1)],
      notAfter: at(7 * 86_400),
      ...more,
    })
  const agent = await service(INSTANCE)
  const control = await issue(controlCa, {
    profile: 'control-api',
    commonName: 'control',
    ...status,
    uris: [`spiffe://${trustDomain}/control`],
    dnsNames: [`control.${trustDomain}`],
  })
  const trust: TrustStatement = {
    version: 1,
    trustDomain,
    oidArc: DEFAULT_OID_ARC,
    anchors: {
      mesh: BASE64(root.certificate.der),
      artifact: BASE64(artifact.certificate.der),
      evidence: BASE64(evidence.certificate.der),
    },
    stateSigners: {
      active: active.certificate.publicKey.spkiSha256Hex,
      spare: spare.certificate.publicKey.spkiSha256Hex,
    },
    retired: [],
  }
  const rootSigner = jwsSigner(root.key, [])
  return {
    trustDomain,
    root,
    controlCa,
    servicesCa,
    active,
    spare,
    agent,
    control,
    service,
    stateLeaf,
    rootSigner,
    trust,
    trustJws: await signTrustStatement(trust, rootSigner),
    stateSigner: signerOf(active, controlCa),
    spareSigner: signerOf(spare, controlCa),
    agentSigner: signerOf(agent, servicesCa),
  }
}

export function fleetContentOf(pki: Pki, change: Partial<FleetContent> = {}): FleetContent {
  const { certificate } = pki.servicesCa
  const issuer: IssuerEntry = {
    spkiSha256: certificate.publicKey.spkiSha256Hex,
    certificate: BASE64(certificate.der),
    organizations: ['brandenburg'],
    classes: [classOid(DEFAULT_OID_ARC, 1)],
    purposes: ['service'],
  }
  return { trust: pki.trustJws, issuers: [issuer], denials: [], revocations: [], releases: [], ...change }
}

export function agentContentOf(change: Partial<AgentContent> = {}): AgentContent {
  return {
    service: SERVICE,
    mode: 'http',
    policy: { format: 1, subjects: {} },
    upstreams: [
      {
        id: 'spiffe://vcc.internal/org/brandenburg/svc/covina',
        name: 'covina',
        mode: 'http',
        kind: 'mesh',
        addresses: [{ instance: OTHER_INSTANCE, host: '10.0.0.2', port: 9443 }],
      },
    ],
    certificateIssuedAfter: null,
    classOids: { mtls_certificate: classOid(DEFAULT_OID_ARC, 1) },
    broker: ['mqtts://control.vcc.internal:8883'],
    api: ['https://control.vcc.internal:8444'],
    ...change,
  }
}

export interface MakeOptions {
  readonly signer?: JwsSigner
  readonly now?: Date
  readonly lifetimes?: Lifetimes
  readonly epoch?: number
  readonly generation?: number
}

/** Makers with the fixture's key, lifetimes and instant, so that a test says only what it is about. */
export function makersOf(pki: Pki) {
  const place = { trustDomain: pki.trustDomain, epoch: 1, generation: 1 }
  const placed = ({ epoch = 1, generation = 1 }: MakeOptions) => ({ ...place, epoch, generation })
  const rest = ({ lifetimes = LIFETIMES, signer = pki.stateSigner, now = NOW }: MakeOptions) =>
    [lifetimes, signer, { now }] as const
  return {
    fleet: (content: FleetContent = fleetContentOf(pki), options: MakeOptions = {}) =>
      fleetDocument({ ...placed(options), content }, ...rest(options)),
    agent: (content: AgentContent = agentContentOf(), options: MakeOptions & { readonly instance?: string } = {}) =>
      agentDocument({ ...placed(options), content, instance: options.instance ?? INSTANCE }, ...rest(options)),
    refresh: (target: RefreshTarget, options: MakeOptions = {}) => refreshOf(target, ...rest(options)),
    delta: (
      base: { readonly generation: number; readonly content: FleetContent },
      content: FleetContent,
      options: MakeOptions,
    ) => fleetDelta(base, { ...placed(options), content }, ...rest(options)),
  }
}

export type Makers = ReturnType<typeof makersOf>

/** What an agent of this PKI accepts by, `seconds` after `NOW`. */
export function acceptanceOf(pki: Pki, seconds = 0, change: Partial<AgentAcceptance> = {}): AgentAcceptance {
  return {
    root: pki.root.certificate,
    trust: pki.trust,
    now: at(seconds),
    floor: undefined,
    instance: INSTANCE,
    service: SERVICE,
    ...change,
  }
}

/** Numbers that look random and are the same in every run. Mulberry32. */
export function seeded(seed: number): { int(below: number): number; pick<T>(list: readonly [T, ...T[]]): T } {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (below: number) => Math.floor(next() * below)
  return { int, pick: (list) => list[int(list.length)] ?? list[0] }
}
