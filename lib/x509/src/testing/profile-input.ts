import { encodeName } from '../name.ts'
import { classOid, DEFAULT_OID_ARC } from '../oid.ts'
import type { ProfileName } from '../profile/table.ts'
import { type Issuer, issuerOf, type TbsInput } from '../profile/tbs.ts'
import type { PublicKey } from '../public-key.ts'
import { AT, FROM, mintCa, testKey, UNTIL } from './mint.ts'

const SERIAL = '4a0102030405060708090a0b0c0d0e0f10111213'
const URLS = {
  crlUrl: 'http://status.vcc.internal:8080/crl/00112233445566778899aabbccddeeff/0.crl',
  ocspUrl: 'http://status.vcc.internal:8080/ocsp',
  caIssuersUrl: 'http://status.vcc.internal:8080/ca/00112233445566778899aabbccddeeff.cer',
}
const NAMES = { nameConstraints: { permittedDns: ['vcc.internal'], permittedUriHosts: ['vcc.internal'] } }
const CLASSES = { classes: [1, 2, 3, 4, 5].map((n) => classOid(DEFAULT_OID_ARC, n)) }

/** What each profile needs beside the fields that all have. */
const ROWS: Record<ProfileName, { cn: string } & Partial<TbsInput>> = {
  'mesh-root': { cn: 'VCC Mesh Root' },
  'artifact-root': { cn: 'VCC Artifact Root' },
  'evidence-root': { cn: 'VCC Evidence Root' },
  'services-ca': { cn: 'VCC Services CA', ...URLS, ...NAMES, ...CLASSES },
  'external-ca': { cn: 'Partner CA', ...URLS, ...NAMES, ...CLASSES },
  'admin-ca': { cn: 'VCC Admin CA', ...URLS, ...NAMES },
  'control-ca': { cn: 'VCC Control CA', ...URLS, ...NAMES },
  'code-signing-ca': { cn: 'VCC Code Signing CA', crlUrl: URLS.crlUrl },
  'tsa-ca': { cn: 'VCC TSA CA', crlUrl: URLS.crlUrl, caIssuersUrl: URLS.caIssuersUrl },
  service: {
    cn: 'abcdefgh01234567',
    uris: ['spiffe://vcc.internal/org/brandenburg/svc/argus'],
    dnsNames: ['argus.brandenburg.vcc.internal', 'argus.vcc.internal'],
    classes: [classOid(DEFAULT_OID_ARC, 1)],
    ...URLS,
  },
  admin: { cn: 'admin ref-0001', uris: ['spiffe://vcc.internal/admin/ref-0001'], ...URLS },
  'control-api': {
    cn: 'control',
    uris: ['spiffe://vcc.internal/control'],
    dnsNames: ['control.vcc.internal'],
    ...URLS,
  },
  broker: { cn: 'broker', uris: ['spiffe://vcc.internal/broker'], dnsNames: ['broker.vcc.internal'], ...URLS },
  'state-signer': { cn: 'state signer 1', ...URLS },
  'ocsp-responder': {
    cn: 'OCSP responder 1',
    notBefore: AT,
    notAfter: new Date(AT.getTime() + 7 * 86_400_000),
    crlUrl: URLS.crlUrl,
    caIssuersUrl: URLS.caIssuersUrl,
  },
}

export const ALL_PROFILES = Object.keys(ROWS) as readonly ProfileName[]

const subjectKey = testKey()
const ca = mintCa({ name: 'VCC Issuing CA' })

/** An input that `buildTbs` accepts for this profile, with `changes` made. */
export function profileInput(profile: ProfileName, changes: Partial<TbsInput> = {}): TbsInput {
  const { cn, ...row } = ROWS[profile]
  return {
    profile,
    serialHex: SERIAL,
    issuer: profile.endsWith('-root') ? 'self' : issuerOf(ca.certificate),
    subject: encodeName([{ type: 'CN', value: cn }]),
    publicKey: subjectKey.publicKey,
    notBefore: FROM,
    notAfter: UNTIL,
    oidArc: DEFAULT_OID_ARC,
    ...row,
    ...changes,
  }
}

/** `profileInput` for another issuer and key. */
export function profileInputUnder(
  profile: ProfileName,
  issuer: Issuer | 'self',
  publicKey: PublicKey,
  changes: Partial<TbsInput> = {},
): TbsInput {
  return profileInput(profile, { issuer, publicKey, ...changes })
}
