/**
 * `node e2e/fuzz/make-corpus.ts` writes corpus.json anew: real values of everything that is parsed before it is trusted. They
 * are kept, not made at each run: signatures are random, and a start value must name the same cases everywhere.
 *
 * Long because it is one list of values.
 */
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import {
  acceptAgent,
  acceptFleet,
  agentDocument,
  encodeHeld,
  fleetDelta,
  fleetDocument,
  jwsSigner,
  refreshOf,
  signEnvelope,
  signReply,
  signTrustStatement,
} from '@vcc/mesh'
import {
  assembleCertificate,
  assembleOcspResponse,
  buildCsr,
  buildTbs,
  type Certificate,
  classOid,
  DEFAULT_OID_ARC,
  decodeCertificate,
  der,
  encodeAlgorithm,
  encodeCertId,
  encodeName,
  encodeOcspError,
  encodeOcspRequest,
  encodeOcspResponseData,
  encodeSigned,
  encodeTbsCrl,
  encodeTbsFields,
  extension,
  issuerOf,
  OID,
  ocspResponder,
  oid,
  type TbsInput,
} from '@vcc/x509'
import { AT, CORPUS_FILE, type Corpus, INSTANCE, NONCE, SERVICE } from './corpus.ts'
import { type FuzzKey, keyOf, newRsaKey } from './keys.ts'

interface Party {
  readonly key: FuzzKey
  readonly certificate: Certificate
}

type Input = Omit<TbsInput, 'serialHex' | 'issuer' | 'subject' | 'publicKey' | 'notBefore' | 'notAfter' | 'oidArc'> & {
  readonly name: string
  readonly days?: number
}

const STATUS = {
  crlUrl: 'http://pki.vcc.internal/crl/0.crl',
  ocspUrl: 'http://pki.vcc.internal/ocsp',
  caIssuersUrl: 'http://pki.vcc.internal/ca/1.cer',
}
const NAMES = { nameConstraints: { permittedDns: ['vcc.internal'], permittedUriHosts: ['vcc.internal'] } }
const CLASS = classOid(DEFAULT_OID_ARC, 1)
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const after = (seconds: number): Date => new Date(AT.getTime() + seconds * 1000)

function issue(issuer: Party | 'self', { name, days = 300, ...rest }: Input, key: FuzzKey = keyOf(name)): Party {
  const tbs = buildTbs({
    ...rest,
    serialHex: `4a${createHash('sha256').update(name).digest('hex').slice(0, 38)}`,
    issuer: issuer === 'self' ? 'self' : issuerOf(issuer.certificate),
    subject: encodeName([{ type: 'CN', value: name }]),
    publicKey: key.publicKey,
    notBefore: after(-86_400),
    notAfter: after(days * 86_400),
    oidArc: DEFAULT_OID_ARC,
  })
  const by = issuer === 'self' ? key : issuer.key
  return { key, certificate: decodeCertificate(assembleCertificate(tbs, by.algorithm, by.signNow(tbs.der))) }
}

const root = issue('self', { profile: 'mesh-root', name: 'VCC Mesh Root', days: 3000 }, keyOf('root', 'P-384'))
const artifact = issue('self', { profile: 'artifact-root', name: 'VCC Artifact Root', days: 3000 }, keyOf('a', 'P-384'))
const evidence = issue('self', { profile: 'evidence-root', name: 'VCC Evidence Root', days: 3000 }, newRsaKey())
/** As fast to verify as a root on P-384 is slow; nobody has its key any more. */
const rsaRoot = issue('self', { profile: 'mesh-root', name: 'VCC RSA Root', days: 3000 }, newRsaKey())
const controlCa = issue(root, { profile: 'control-ca', name: 'VCC Control CA', ...STATUS, ...NAMES, days: 2000 })
const adminCa = issue(root, { profile: 'admin-ca', name: 'VCC Admin CA', ...STATUS, ...NAMES, days: 2000 })
const servicesCa = issue(rsaRoot, {
  profile: 'services-ca',
  name: 'VCC Services CA',
  ...STATUS,
  ...NAMES,
  classes: [CLASS, classOid(DEFAULT_OID_ARC, 2)],
  days: 2000,
})
const tsaCa = issue(evidence, { profile: 'tsa-ca', name: 'VCC TSA CA', crlUrl: STATUS.crlUrl })
const agent = issue(servicesCa, {
  profile: 'service',
  name: INSTANCE,
  ...STATUS,
  uris: [SERVICE],
  dnsNames: ['argus.brandenburg.vcc.internal', 'argus.vcc.internal'],
  classes: [CLASS],
})
const admin = issue(adminCa, {
  profile: 'admin',
  name: 'admin 0001',
  ...STATUS,
  uris: ['spiffe://vcc.internal/admin/0001'],
})
const control = issue(controlCa, {
  profile: 'control-api',
  name: 'control',
  ...STATUS,
  uris: ['spiffe://vcc.internal/control'],
  dnsNames: ['control.vcc.internal'],
})
const active = issue(controlCa, { profile: 'state-signer', name: 'state signer 1', ...STATUS })
const spare = issue(controlCa, { profile: 'state-signer', name: 'state signer 2', ...STATUS })

/** One certificate with an extension of every kind that is decoded. */
function withEverything(): Uint8Array {
  const key = keyOf('everything')
  const uri = { type: 'uri', value: SERVICE } as const
  const ip = { type: 'ip', octets: new Uint8Array([10, 0, 0, 1]) } as const
  const directory = {
    type: 'directory',
    name: encodeName([
      { type: 'C', value: 'DE' },
      { type: 'DC', value: 'vcc' },
    ]),
  } as const
  const email = { type: 'email', value: 'a@vcc.internal' } as const
  const tbs = encodeTbsFields({
    serial: new Uint8Array([0x4a, 1, 2, 3, 4, 5, 6, 7]),
    algorithm: controlCa.key.algorithm,
    issuer: controlCa.certificate.subject,
    subject: encodeName([
      { type: 'C', value: 'DE' },
      { type: 'O', value: 'VCC' },
      { type: 'CN', value: 'everything' },
      { type: 'emailAddress', value: 'a@vcc.internal' },
    ]),
    notBefore: after(-1),
    notAfter: new Date('2051-01-01T00:00:00Z'),
    spkiDer: key.publicKey.spkiDer,
    extensions: [
      extension.encodeBasicConstraints({ isCa: true, pathLength: 1 }),
      extension.encodeKeyUsage(['digitalSignature', 'keyCertSign', 'cRLSign', 'decipherOnly']),
      extension.encodeExtKeyUsage([OID.serverAuth, OID.ocspSigning], false),
      extension.encodeSubjectKeyId(key.publicKey.subjectKeyId),
      extension.encodeAuthorityKeyId(controlCa.certificate.publicKey.subjectKeyId),
      extension.encodeSubjectAltName([uri, ip, directory, email, { type: 'dns', value: 'a.b' }], false),
      extension.encodeNameConstraints({
        permitted: [{ type: 'dns', value: 'vcc.internal' }, directory],
        excluded: [{ type: 'ip', octets: new Uint8Array(8) }, email],
      }),
      extension.encodeCertificatePolicies([CLASS, OID.anyPolicy]),
      extension.encodeInhibitAnyPolicy(2),
      extension.encodeCrlDistributionPoint(STATUS.crlUrl),
      extension.encodeAuthorityInfoAccess(STATUS),
      // policyConstraints, freshestCRL with every field, ocspNoCheck
      extension.encodeExtension(OID.policyConstraints, true, Uint8Array.fromHex('3006800100810100')),
      extension.encodeExtension(
        OID.freshestCrl,
        false,
        der.sequence(
          der.sequence(
            Uint8Array.fromHex('a007a0058603612f62'),
            Uint8Array.fromHex('81020106'),
            Uint8Array.fromHex('a2048202612e'),
          ),
        ),
      ),
      extension.encodeExtension(OID.ocspNoCheck, false, der.NULL),
    ],
  })
  return encodeSigned(tbs, controlCa.key.algorithm, controlCa.key.signNow(tbs))
}

/** A PKCS #10 request that names and asks for things. */
function namedCsr(): Uint8Array {
  const key = keyOf('csr')
  const asked = der.sequence(
    extension.encodeKeyUsage(['digitalSignature']),
    extension.encodeSubjectAltName([{ type: 'dns', value: 'argus.vcc.internal' }], false),
  )
  const attribute = (type: string, value: der.Der) => der.sequence(oid(type), der.setOf(value))
  const attributes = [
    attribute('1.2.840.113549.1.9.7', der.utf8String('challenge')),
    attribute(OID.extensionRequest, asked),
  ]
  const subject = encodeName([
    { type: 'O', value: 'VCC' },
    { type: 'CN', value: 'argus' },
  ]).der
  const info = der.encodeDer(
    der.sequence(der.integer(0), subject, key.publicKey.spkiDer, der.constructed(0xa0, ...attributes)),
  )
  return der.encodeDer(der.sequence(info, encodeAlgorithm(key.algorithm), der.bitString(key.signNow(info))))
}

function crl(baseNumber?: number): Uint8Array {
  const tbs = encodeTbsCrl({
    issuer: servicesCa.certificate,
    algorithm: servicesCa.key.algorithm,
    thisUpdate: AT,
    nextUpdate: after(86_400),
    number: 7,
    distributionPoint: STATUS.crlUrl,
    ...(baseNumber === undefined ? { freshest: 'http://pki.vcc.internal/crl/0-delta.crl' } : { baseNumber }),
    expiredSince: after(-86_400),
    entries: [
      { serialHex: '4a01', revocationDate: after(-60), reason: 'keyCompromise', invalidityDate: after(-120) },
      { serialHex: '4a02', revocationDate: after(-30), reason: 'unspecified' },
    ],
  })
  return encodeSigned(tbs, servicesCa.key.algorithm, servicesCa.key.signNow(tbs))
}

const certId = encodeCertId(servicesCa.certificate, agent.certificate.serialHex, 'sha256')
const certIdSha1 = encodeCertId(servicesCa.certificate, agent.certificate.serialHex, 'sha1')

function ocspResponse(status: 'good' | 'revoked'): Uint8Array {
  const responder = ocspResponder(servicesCa.certificate, servicesCa.key.algorithm)
  const said = status === 'good' ? ({ status } as const) : ({ status, at: after(-60), reason: 'superseded' } as const)
  const data = encodeOcspResponseData(responder, {
    producedAt: AT,
    singles: [
      { certIdDer: certId, status: said, thisUpdate: AT, nextUpdate: after(3600), archiveCutoff: after(-86_400) },
    ],
    nonce: new Uint8Array(32).fill(7),
  })
  return assembleOcspResponse(responder, data, servicesCa.key.signNow(data))
}

const trustJws = await signTrustStatement(
  {
    version: 1,
    trustDomain: 'vcc.internal',
    oidArc: DEFAULT_OID_ARC,
    anchors: {
      mesh: base64(root.certificate.der),
      artifact: base64(artifact.certificate.der),
      evidence: base64(evidence.certificate.der),
    },
    stateSigners: {
      active: active.certificate.publicKey.spkiSha256Hex,
      spare: spare.certificate.publicKey.spkiSha256Hex,
    },
    retired: ['ab'.repeat(32)],
  },
  jwsSigner(root.key, []),
)
const stateSigner = jwsSigner(active.key, [active.certificate.der, controlCa.certificate.der])
const agentSigner = jwsSigner(agent.key, [agent.certificate.der, servicesCa.certificate.der])
const lifetimes = { acceptSeconds: 600, enforceSeconds: 72 * 3600 }
const place = { trustDomain: 'vcc.internal', epoch: 1, generation: 1 }
const now = { now: AT }
const fleetContent: Parameters<typeof fleetDocument>[0]['content'] = {
  trust: trustJws,
  issuers: [
    {
      spkiSha256: servicesCa.certificate.publicKey.spkiSha256Hex,
      certificate: base64(servicesCa.certificate.der),
      organizations: ['brandenburg'],
      classes: [CLASS],
      purposes: ['service'],
    },
  ],
  denials: [],
  revocations: [],
  releases: [],
}
const agentContent: Parameters<typeof agentDocument>[0]['content'] = {
  service: SERVICE,
  mode: 'http',
  policy: { format: 1, subjects: {} },
  upstreams: [
    {
      id: 'spiffe://vcc.internal/org/brandenburg/svc/covina',
      name: 'covina',
      mode: 'http',
      kind: 'mesh',
      addresses: [{ instance: 'covina0000000002', host: '10.0.0.2', port: 9443 }],
    },
  ],
  certificateIssuedAfter: null,
  classOids: { mtls_certificate: CLASS },
  broker: ['mqtts://control.vcc.internal:8883'],
  api: ['https://control.vcc.internal:8444'],
}
const fleet = await fleetDocument({ ...place, content: fleetContent }, lifetimes, stateSigner, now)
const agentState = await agentDocument(
  { ...place, content: agentContent, instance: INSTANCE },
  lifetimes,
  stateSigner,
  now,
)
const refresh = await refreshOf(fleet.payload, lifetimes, stateSigner, { now: after(60) })
const delta = await fleetDelta(
  { generation: 1, content: fleetContent },
  {
    ...place,
    generation: 2,
    content: {
      ...fleetContent,
      issuers: fleetContent.issuers.map((issuer) => ({ ...issuer, organizations: ['brandenburg', 'sachsen'] })),
    },
  },
  lifetimes,
  stateSigner,
  { now: after(60) },
)
const head = { instance: INSTANCE, correlation: NONCE, nonce: NONCE } as const
const csrBase64 = base64(await buildCsr(keyOf('next')))
const report = {
  epoch: 1,
  generation: 1,
  contentHash: fleet.payload.contentHash,
  issuedAt: fleet.payload.issuedAt,
  enforceUntil: fleet.payload.enforceUntil,
}
const status = await signEnvelope(
  {
    kind: 'status',
    ...head,
    body: {
      version: '0.1.0',
      formats: [1],
      startedAt: fleet.payload.issuedAt,
      ready: true,
      health: { state: 'healthy' },
      certificate: { serial: agent.certificate.serialHex, notAfter: fleet.payload.enforceUntil },
      fleet: report,
      agent: null,
      clock: { state: 'ok', offsetSeconds: 0 },
      listeners: [{ kind: 'inbound', name: 'inbound', address: '127.0.0.1:9443' }],
      addresses: [{ host: '127.0.0.1', port: 9443 }],
      localBypass: 'possible',
      counters: { decisions: 12 },
    },
  },
  60,
  agentSigner,
  now,
)
const renew = await signEnvelope({ kind: 'renew', ...head, body: { csr: csrBase64 } }, 60, agentSigner, now)
const { issuedAt: _, ...applied } = report
const outcome = { result: 'applied', at: fleet.payload.issuedAt, closed: 0 } as const
const acknowledged = { kind: 'fleet', ...applied, serial: agent.certificate.serialHex, outcome } as const
const ack = await signEnvelope({ kind: 'ack', ...head, body: acknowledged }, 60, agentSigner, now)
const problem = { code: 'csr_refused', title: 'CSR is not acceptable', retryAfterSeconds: 60 }
const reply = await signReply(head, { ok: false, problem }, 60, stateSigner, now)

const by = {
  root: root.certificate,
  trust: JSON.parse(Buffer.from(trustJws.split('.')[1] ?? '', 'base64url').toString('utf8')),
  now: AT,
  floor: undefined,
}
const heldFleet = acceptFleet(undefined, fleet.jws, by)
const heldAgent = acceptAgent(undefined, agentState.jws, { ...by, instance: INSTANCE, service: SERVICE })

const parties = [
  root,
  rsaRoot,
  artifact,
  evidence,
  controlCa,
  adminCa,
  servicesCa,
  tsaCa,
  agent,
  admin,
  control,
  active,
]
const corpus: Corpus = {
  root: base64(root.certificate.der),
  rsaRoot: base64(rsaRoot.certificate.der),
  certificates: [...parties.map(({ certificate }) => base64(certificate.der)), base64(withEverything())],
  chain: [agent, servicesCa].map(({ certificate }) => base64(certificate.der)),
  csrs: [
    csrBase64,
    base64(namedCsr()),
    base64(await buildCsr(keyOf('p384', 'P-384'))),
    base64(await buildCsr(newRsaKey())),
  ],
  crls: [crl(), crl(6)].map(base64),
  ocspRequests: [
    encodeOcspRequest([certIdSha1]),
    encodeOcspRequest([certId, certIdSha1], new Uint8Array(32).fill(7)),
  ].map(base64),
  ocspResponses: [ocspResponse('good'), ocspResponse('revoked'), encodeOcspError('tryLater')].map(base64),
  trust: trustJws,
  fleet: fleet.jws,
  agent: agentState.jws,
  refresh: refresh.jws,
  delta: delta.jws,
  envelopes: { status, ack, renew },
  reply,
  held: { fleet: encodeHeld(heldFleet), agent: encodeHeld(heldAgent) },
}
await writeFile(CORPUS_FILE, `${JSON.stringify(corpus, undefined, 2)}\n`)
