import 'reflect-metadata'
import { execFile } from 'node:child_process'
import { generateKeyPair, X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as peculiar from '@peculiar/x509'
import * as asn1js from 'asn1js'
import forge from 'node-forge'
import * as pkijs from 'pkijs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeCertificate } from './certificate.ts'
import { encodeSigned, encodeTbsFields } from './encode-certificate.ts'
import * as extension from './extension/encode.ts'
import type { GeneralName } from './general-name.ts'
import { lintTbs } from './lint/lint.ts'
import { encodeName, formatName } from './name.ts'
import { OID } from './oid.ts'
import { validateChain } from './path/validate.ts'
import { encodePem } from './pem.ts'
import type { ProfileName } from './profile/table.ts'
import { assembleCertificate, buildTbs, issuerOf } from './profile/tbs.ts'
import { AT, type Minted, type TestKey, testKey } from './testing/mint.ts'
import { profileInputUnder } from './testing/profile-input.ts'
import { refusalOf } from './testing/refusal.ts'

const run = promisify(execFile)
const certificates = new Map<ProfileName, Minted>()
let folder: string

/** Each profile under the one above it. The mesh root is RSA, the others on P-384. */
const ABOVE: Record<ProfileName, ProfileName | undefined> = {
  'mesh-root': undefined,
  'artifact-root': undefined,
  'evidence-root': undefined,
  'services-ca': 'mesh-root',
  'external-ca': 'mesh-root',
  'admin-ca': 'mesh-root',
  'control-ca': 'mesh-root',
  'code-signing-ca': 'artifact-root',
  'tsa-ca': 'evidence-root',
  service: 'services-ca',
  admin: 'admin-ca',
  'control-api': 'control-ca',
  broker: 'control-ca',
  'state-signer': 'control-ca',
  'ocsp-responder': 'services-ca',
}
const PROFILES_IN_ORDER = Object.keys(ABOVE) as readonly ProfileName[]
const LEAVES = ['service', 'admin', 'control-api', 'broker', 'state-signer', 'ocsp-responder'] as const

function certificateOf(profile: ProfileName): Minted {
  const found = certificates.get(profile)
  if (found === undefined) throw new TypeError(`${profile} is not made yet`)
  return found
}

function issue(profile: ProfileName, key: TestKey): Minted {
  const above = ABOVE[profile]
  const issuer = above === undefined ? undefined : certificateOf(above)
  const tbs = buildTbs(
    profileInputUnder(profile, issuer === undefined ? 'self' : issuerOf(issuer.certificate), key.publicKey),
  )
  lintTbs(tbs)
  const signer = issuer?.key ?? key
  const der = assembleCertificate(tbs, signer.algorithm, signer.signNow(tbs.der))
  return { der, key, certificate: decodeCertificate(der) }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-x509-'))
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 4096 })
  for (const profile of PROFILES_IN_ORDER) {
    const key = profile === 'mesh-root' ? testKey(privateKey) : testKey(profile.endsWith('-root') ? 'P-384' : 'P-256')
    certificates.set(profile, issue(profile, key))
    await writeFile(join(folder, `${profile}.pem`), encodePem('CERTIFICATE', certificateOf(profile).der))
  }
}, 60_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

const file = (name: string): string => join(folder, `${name}.pem`)

/** What `openssl verify` prints, good or bad. Judged at the instant of the fixtures. */
async function opensslVerify(
  root: string,
  untrusted: string | undefined,
  leaf: string,
  ...more: string[]
): Promise<string> {
  const chain = untrusted === undefined ? [] : ['-untrusted', file(untrusted)]
  const options = ['-x509_strict', '-attime', String(AT.getTime() / 1000), '-CAfile', file(root), ...chain, ...more]
  try {
    const { stdout } = await run('openssl', ['verify', ...options, file(leaf)])
    return stdout
  } catch (error) {
    return (error as { stderr: string }).stderr
  }
}

describe('openssl', () => {
  test.each(PROFILES_IN_ORDER)('reads %s', async (profile) => {
    const { certificate } = certificateOf(profile)
    const { stdout } = await run('openssl', [
      'x509',
      '-in',
      file(profile),
      '-noout',
      '-text',
      '-serial',
      '-certopt',
      'ext_error',
    ])
    expect(stdout).toContain(`serial=${certificate.serialHex.toUpperCase()}`)
    expect(stdout).not.toMatch(/<Not Supported>|<Parse Error>|Unsupported/i)
  })

  test.each<[ProfileName, readonly string[]]>([
    ['service', ['sslclient', 'sslserver']],
    ['admin', ['sslclient']],
    ['control-api', ['sslclient', 'sslserver']],
    ['broker', ['sslserver']],
    ['state-signer', ['any']],
    ['ocsp-responder', ['ocsphelper']],
    ['code-signing-ca', ['any']],
    ['tsa-ca', ['any']],
  ])('verifies %s strictly', async (profile, purposes) => {
    const above = ABOVE[profile] ?? profile
    const root = ABOVE[above] ?? above
    for (const purpose of purposes) {
      const seen = await opensslVerify(root, above === root ? undefined : above, profile, '-purpose', purpose)
      expect(seen).toContain(': OK')
    }
  })

  test('verifies the class of a service as an explicit policy, and no other', async () => {
    const policy = (n: number): string[] => ['-policy', `1.3.6.1.4.1.55555.2.${n}`, '-explicit_policy', '-policy_check']
    expect(await opensslVerify('mesh-root', 'services-ca', 'service', ...policy(1))).toContain(': OK')
    expect(await opensslVerify('mesh-root', 'services-ca', 'service', ...policy(2))).toContain('no explicit policy')
  })

  test('refuses a service under another CA', async () => {
    expect(await opensslVerify('mesh-root', 'admin-ca', 'service')).toContain('unable to get local issuer')
    expect(await opensslVerify('artifact-root', 'services-ca', 'service')).toContain('unable to get local issuer')
  })

  test.each<[string, GeneralName, boolean]>([
    ['a name of ours', { type: 'dns', value: 'argus.vcc.internal' }, true],
    ['the domain itself', { type: 'dns', value: 'vcc.internal' }, true],
    ['a foreign name', { type: 'dns', value: 'argus.example' }, false],
    ['a name that ends alike', { type: 'dns', value: 'evilvcc.internal' }, false],
    ['a URI of ours', { type: 'uri', value: 'spiffe://vcc.internal/control' }, true],
    ['a URI below our host', { type: 'uri', value: 'spiffe://x.vcc.internal/control' }, false],
    ['a foreign URI', { type: 'uri', value: 'spiffe://elsewhere/control' }, false],
    ['a URI without a host', { type: 'uri', value: 'urn:vcc.internal' }, false],
    ['an e-mail address of ours', { type: 'email', value: 'a@vcc.internal' }, false],
    ['an e-mail address at invalid', { type: 'email', value: 'a@invalid' }, false],
    ['an IPv4 address', { type: 'ip', octets: new Uint8Array([127, 0, 0, 1]) }, false],
    ['an IPv6 address', { type: 'ip', octets: new Uint8Array(16) }, false],
  ])('and validateChain agree on %s', async (name, san, isGood) => {
    const services = certificateOf('services-ca')
    const key = certificateOf('service').key
    const original = certificateOf('service').certificate
    const tbsDer = encodeTbsFields({
      serial: Uint8Array.fromHex(original.serialHex),
      algorithm: services.key.algorithm,
      issuer: services.certificate.subject,
      subject: encodeName([{ type: 'CN', value: 'abcdefgh01234567' }]),
      notBefore: original.notBefore,
      notAfter: original.notAfter,
      spkiDer: key.publicKey.spkiDer,
      extensions: [
        extension.encodeBasicConstraints({ isCa: false }),
        extension.encodeKeyUsage(['digitalSignature']),
        extension.encodeExtKeyUsage([OID.serverAuth, OID.clientAuth], false),
        extension.encodeSubjectKeyId(key.publicKey.subjectKeyId),
        extension.encodeAuthorityKeyId(services.key.publicKey.subjectKeyId),
        extension.encodeSubjectAltName([san], false),
      ],
    })
    const der = encodeSigned(tbsDer, services.key.algorithm, services.key.signNow(tbsDer))
    const slug = name.replaceAll(/[^A-Za-z0-9]/g, '-')
    await writeFile(file(slug), encodePem('CERTIFICATE', der))
    const options = { anchors: [certificateOf('mesh-root').certificate], at: AT, eku: OID.clientAuth }
    expect(refusalOf(() => validateChain([der, services.der], options)) === undefined).toBe(isGood)
    expect((await opensslVerify('mesh-root', 'services-ca', slug)).includes(': OK')).toBe(isGood)
  })
})

describe('we', () => {
  test.each(LEAVES)('validate %s', (profile) => {
    const { der, certificate } = certificateOf(profile)
    const ca = certificateOf(ABOVE[profile] ?? profile)
    const [eku = ''] = certificate.extensions.extKeyUsage ?? []
    const options = { anchors: [certificateOf('mesh-root').certificate], at: AT, eku }
    expect(() => validateChain([der, ca.der], options)).not.toThrow()
  })
})

describe('node', () => {
  test.each(PROFILES_IN_ORDER)('reads %s and verifies it', (profile) => {
    const { der, certificate } = certificateOf(profile)
    const issuer = certificateOf(ABOVE[profile] ?? profile)
    const seen = new X509Certificate(der)
    expect(seen.serialNumber.toLowerCase()).toBe(certificate.serialHex)
    expect(seen.validToDate).toEqual(certificate.notAfter)
    expect(seen.verify(issuer.key.publicKey.keyObject)).toBe(true)
  })
})

describe('@peculiar/x509', () => {
  test.each(PROFILES_IN_ORDER)('reads %s', (profile) => {
    const { der, certificate } = certificateOf(profile)
    const seen = new peculiar.X509Certificate(new Uint8Array(der))
    expect(seen.serialNumber).toBe(certificate.serialHex)
    expect(seen.subject).toBe(formatName(certificate.subject))
    expect(seen.notBefore).toEqual(certificate.notBefore)
    expect(seen.notAfter).toEqual(certificate.notAfter)
    expect(seen.extensions.map(({ type, critical }) => [type, critical])).toEqual(
      certificate.extensions.all.map(({ oid, critical }) => [oid, critical]),
    )
    const constraints = seen.getExtension(peculiar.BasicConstraintsExtension)
    expect(constraints?.ca).toBe(certificate.extensions.basicConstraints?.isCa)
    expect(constraints?.pathLength).toBe(certificate.extensions.basicConstraints?.pathLength)
    expect(seen.getExtension(peculiar.ExtendedKeyUsageExtension)?.usages).toEqual(certificate.extensions.extKeyUsage)
    const names = seen.getExtension(peculiar.SubjectAlternativeNameExtension)?.names.toJSON() ?? []
    const kinds = { uri: 'url', dns: 'dns' } as const
    expect(names).toEqual(
      (certificate.extensions.subjectAltName ?? []).flatMap((name) =>
        name.type === 'uri' || name.type === 'dns' ? [{ type: kinds[name.type], value: name.value }] : [],
      ),
    )
  })

  test.each(PROFILES_IN_ORDER)('verifies the signature of %s', async (profile) => {
    const issuer = certificateOf(ABOVE[profile] ?? profile)
    const seen = new peculiar.X509Certificate(new Uint8Array(certificateOf(profile).der))
    const publicKey = new peculiar.X509Certificate(new Uint8Array(issuer.der)).publicKey
    expect(await seen.verify({ publicKey, signatureOnly: true }, crypto)).toBe(true)
  })
})

describe('pkijs', () => {
  test.each(PROFILES_IN_ORDER)('reads %s and writes it back', (profile) => {
    const { der, certificate } = certificateOf(profile)
    const seen = pkijs.Certificate.fromBER(new Uint8Array(der))
    expect(new Uint8Array(seen.toSchema(true).toBER())).toEqual(der)
    expect((seen.extensions ?? []).map(({ extnID }) => extnID)).toEqual(
      certificate.extensions.all.map(({ oid }) => oid),
    )
    expect((seen.extensions ?? []).filter(({ parsedValue }) => parsedValue?.parsingError !== undefined)).toEqual([])
    expect(new Uint8Array(seen.tbsView)).toEqual(certificate.tbsDer)
  })

  test.each(PROFILES_IN_ORDER)('verifies the signature of %s', async (profile) => {
    const issuer = pkijs.Certificate.fromBER(new Uint8Array(certificateOf(ABOVE[profile] ?? profile).der))
    const seen = pkijs.Certificate.fromBER(new Uint8Array(certificateOf(profile).der))
    expect(await seen.verify(issuer)).toBe(true)
  })
})

describe('asn1js', () => {
  test.each(PROFILES_IN_ORDER)('reads the DER of %s to the last octet and writes it back', (profile) => {
    const { der } = certificateOf(profile)
    const { offset, result } = asn1js.fromBER(new Uint8Array(der))
    expect(offset).toBe(der.length)
    expect(new Uint8Array(result.toBER())).toEqual(der)
  })
})

describe('node-forge', () => {
  const binary = (der: Uint8Array): string => Buffer.from(der).toString('binary')

  test.each(PROFILES_IN_ORDER)('reads the DER of %s and writes it back', (profile) => {
    const { der } = certificateOf(profile)
    const asn1 = forge.asn1.fromDer(binary(der))
    expect(forge.asn1.toDer(asn1).getBytes()).toBe(binary(der))
  })

  test('reads the RSA root as a certificate and verifies it', () => {
    const { der, certificate } = certificateOf('mesh-root')
    const seen = forge.pki.certificateFromAsn1(forge.asn1.fromDer(binary(der)))
    expect(seen.serialNumber).toBe(certificate.serialHex)
    expect(seen.subject.getField('CN').value).toBe('VCC Mesh Root')
    // Its own `verify` hashes SHA-256 whatever PSS says, so its parts are put together by hand.
    const digest = forge.md.sha384.create().update(binary(certificate.tbsDer)).digest().getBytes()
    const scheme = forge.pss.create({
      md: forge.md.sha384.create(),
      mgf: forge.mgf.mgf1.create(forge.md.sha384.create()),
      saltLength: 48,
    })
    const key = seen.publicKey as forge.pki.rsa.PublicKey
    expect(key.verify(digest, binary(certificate.signature), scheme)).toBe(true)
  })
})
