import { randomInt } from 'node:crypto'
import {
  assembleCertificate,
  buildTbs,
  classOid,
  DEFAULT_OID_ARC,
  encodeName,
  issuerOf,
  type MeshNameConstraints,
  type ProfileName,
  type TbsInput,
} from '@vcc/x509'
import { credential, issueLeaf, type LeafSpec, secondsAfter, type TestCredential, testSerialHex } from './credential.ts'
import { type TestSigner, testSigner } from './key.ts'

export interface TestPkiOptions {
  /** SPIFFE trust domain and DNS domain; `vcc.internal` when absent. */
  readonly trustDomain?: string
  readonly organization?: string
  readonly oidArc?: string
  /** Numbers of the classes that the CAs may grant; 1 to 5 when absent. */
  readonly classes?: readonly number[]
  /** The instant around which everything is valid; the present when absent. */
  readonly now?: Date
  readonly curve?: 'P-256' | 'P-384'
  /** Base of the status URLs; nothing answers there unless the test does. */
  readonly statusUrl?: string
}

/** A leaf of a service; every field of `LeafSpec` may be overridden. */
export interface ServiceOptions extends Partial<LeafSpec> {
  readonly organization?: string
  /** Number of the class; 1 (`mtls_certificate`) when absent. */
  readonly class?: number
  /** Common name; random when absent. */
  readonly instance?: string
}

export type TestPki = ReturnType<typeof testPki>

/**
 * A PKI in memory: mesh root, Services, Admin and Control CA, a partner's External CA (`spiffe://partner.example`), and
 * `otherServicesCa`, a second CA under the same root and for the same names, for what an issuer table refuses. CAs and
 * the named leaves come from the profiles; see `wrongLeaf` for everything else. Roots are on P-256 for speed.
 */
export function testPki(options: TestPkiOptions = {}) {
  const { trustDomain = 'vcc.internal', organization = 'brandenburg', oidArc = DEFAULT_OID_ARC } = options
  const now = secondsAfter(options.now ?? new Date(), 0)
  const classes = (options.classes ?? [1, 2, 3, 4, 5]).map((n) => classOid(oidArc, n))
  const context: Context = { oidArc, now, curve: options.curve ?? 'P-256', statusUrl: options.statusUrl ?? STATUS_URL }

  const root = makeRoot(context, 'VCC Mesh Root')
  const ours = { permittedDns: [trustDomain, 'localhost'], permittedUriHosts: [trustDomain] }
  const theirs = { permittedDns: ['partner.example'], permittedUriHosts: ['partner.example'] }
  const servicesCa = makeCa(context, root, { profile: 'services-ca', name: 'VCC Services CA', names: ours, classes })
  const otherServicesCa = makeCa(context, root, { profile: 'services-ca', name: 'Other CA', names: ours, classes })
  const partnerCa = makeCa(context, root, { profile: 'external-ca', name: 'Partner CA', names: theirs, classes })
  const adminCa = makeCa(context, root, { profile: 'admin-ca', name: 'VCC Admin CA', names: ours })
  const controlCa = makeCa(context, root, { profile: 'control-ca', name: 'VCC Control CA', names: ours })

  return {
    trustDomain,
    organization,
    oidArc,
    now,
    classOids: classes,
    root,
    servicesCa,
    otherServicesCa,
    partnerCa,
    adminCa,
    controlCa,
    rootPem: root.certPem,

    /** A root that nobody trusts, with the same name as the trusted one. */
    foreignRoot: () => makeRoot(context, 'VCC Mesh Root'),

    /** A CA under any root of this PKI, or a foreign one, for this trust domain. */
    servicesCaUnder: (above: TestCredential) =>
      makeCa(context, above, { profile: 'services-ca', name: 'VCC Services CA', names: ours, classes }),

    /** The leaf of a service from the Services CA, or from `ca`. */
    service(name: string, spec: ServiceOptions = {}, ca: TestCredential = servicesCa): TestCredential {
      const org = spec.organization ?? organization
      return issueLeaf(ca, now, {
        commonName: spec.instance ?? testInstance(),
        uris: [`spiffe://${trustDomain}/org/${org}/svc/${name}`],
        dnsNames: [`${name}.${org}.${trustDomain}`, ...(org === organization ? [`${name}.${trustDomain}`] : [])],
        policies: [classOid(oidArc, spec.class ?? 1)],
        ...spec,
      })
    },

    /** The leaf of a partner's service from its External CA. */
    partnerService(name: string, spec: ServiceOptions = {}): TestCredential {
      const org = spec.organization ?? 'partner'
      return issueLeaf(partnerCa, now, {
        commonName: spec.instance ?? testInstance(),
        uris: [`spiffe://partner.example/org/${org}/svc/${name}`],
        dnsNames: [`${name}.partner.example`],
        policies: [classOid(oidArc, spec.class ?? 1)],
        ...spec,
      })
    },

    admin: (ref: string) =>
      makeLeaf(context, adminCa, {
        profile: 'admin',
        name: `admin ${ref}`,
        uris: [`spiffe://${trustDomain}/admin/${ref}`],
      }),
    controlApi: (dnsNames: readonly string[] = ['localhost']) =>
      makeLeaf(context, controlCa, {
        profile: 'control-api',
        name: 'control',
        uris: [`spiffe://${trustDomain}/control`],
        dnsNames,
      }),
    broker: (dnsNames: readonly string[] = ['localhost']) =>
      makeLeaf(context, controlCa, {
        profile: 'broker',
        name: 'broker',
        uris: [`spiffe://${trustDomain}/broker`],
        dnsNames,
      }),
    stateSigner: (name = 'state signer 1') => makeLeaf(context, controlCa, { profile: 'state-signer', name }),
  }
}

/** 16 characters of `[a-z0-9]`. */
export function testInstance(): string {
  return Array.from({ length: 16 }, () => '0123456789abcdefghijklmnopqrstuvwxyz'.charAt(randomInt(36))).join('')
}

interface Context {
  readonly oidArc: string
  readonly now: Date
  readonly curve: 'P-256' | 'P-384'
  readonly statusUrl: string
}

function makeRoot(context: Context, name: string): TestCredential {
  const signer = testSigner('root', context.curve)
  const der = build(context, signer, signer, { profile: 'mesh-root', issuer: 'self', name, days: 3650 })
  return credential(der, signer, [])
}

function makeCa(
  context: Context,
  above: TestCredential,
  spec: { profile: ProfileName; name: string; names: MeshNameConstraints; classes?: readonly string[] },
): TestCredential {
  const signer = testSigner('issuing')
  const der = build(context, signer, above.signer, {
    profile: spec.profile,
    name: spec.name,
    issuer: issuerOf(above.certificate),
    nameConstraints: spec.names,
    ...(spec.classes === undefined ? {} : { classes: spec.classes }),
    days: 1825,
  })
  return credential(der, signer, [])
}

const PURPOSES = { 'control-api': 'api', broker: 'broker', 'state-signer': 'state' } as const

function makeLeaf(
  context: Context,
  above: TestCredential,
  spec: { profile: ProfileName; name: string; uris?: readonly string[]; dnsNames?: readonly string[] },
): TestCredential {
  const signer = testSigner(spec.profile in PURPOSES ? PURPOSES[spec.profile as keyof typeof PURPOSES] : 'api')
  const der = build(context, signer, above.signer, { ...spec, issuer: issuerOf(above.certificate), days: 30 })
  return credential(der, signer, above.chainDer)
}

function build(
  { oidArc, now, statusUrl }: Context,
  subjectKey: TestSigner,
  issuerKey: TestSigner,
  spec: Pick<TbsInput, 'profile' | 'issuer' | 'uris' | 'dnsNames' | 'classes' | 'nameConstraints'> & {
    name: string
    days: number
  },
): Uint8Array {
  const { name, days, ...rest } = spec
  const isMesh = spec.issuer !== 'self'
  const tbs = buildTbs({
    ...rest,
    serialHex: testSerialHex(),
    subject: encodeName([{ type: 'CN', value: name }]),
    publicKey: subjectKey.publicKey,
    notBefore: secondsAfter(now, -300),
    notAfter: secondsAfter(now, days * 86_400 - 301),
    oidArc,
    ...(isMesh ? { crlUrl: `${statusUrl}/crl/0`, ocspUrl: `${statusUrl}/ocsp`, caIssuersUrl: `${statusUrl}/ca` } : {}),
  })
  return assembleCertificate(tbs, issuerKey.algorithm, issuerKey.signNow(tbs.der))
}

const STATUS_URL = 'http://status.vcc.internal:8080'
