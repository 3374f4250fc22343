import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeForeignCertificate, type ForeignCertificate, findPath, type PolicyInputs } from '@vcc/x509'
import { SUB_TESTS, type SubTest } from './pkits-policies.ts'
import { type Did, judge, type Outcome, type Suite } from './suite.ts'

/**
 * NIST's PKITS: folders `certs` and `crls` of DER. Each `…EE.crt` is one test or several; all other certificates and all CRLs
 * are there in each of them, and the trust anchor is the same.
 */
export const pkits: Suite = {
  name: 'pkits',
  variable: 'PKITS',
  place: 'pkits',
  run: (folder) => {
    const material = readMaterial(folder)
    return material.leaves.flatMap((leaf) => outcomesOf(leaf, material))
  },
}

interface Material {
  readonly anchor: ForeignCertificate
  readonly others: readonly Uint8Array[]
  readonly crls: readonly Uint8Array[]
  readonly leaves: readonly { name: string; der: Uint8Array }[]
}

const ANCHOR = 'TrustAnchorRootCertificate.crt'

/** Within the lifetime of the certificates that are meant to be valid: 2010 to 2030. */
const AT = new Date('2025-06-01T12:00:00Z')

function readMaterial(folder: string): Material {
  const read = (kind: string): { name: string; der: Uint8Array }[] =>
    readdirSync(join(folder, kind))
      .toSorted()
      .map((name) => ({ name, der: readFileSync(join(folder, kind, name)) }))
  const certificates = read('certs')
  const isLeaf = ({ name }: { name: string }): boolean => name.endsWith('EE.crt')
  const anchor = certificates.find(({ name }) => name === ANCHOR)
  if (anchor === undefined) throw new TypeError(`${folder} has no certs/${ANCHOR}`)
  return {
    anchor: decodeForeignCertificate(anchor.der),
    others: certificates.filter((file) => !isLeaf(file)).map(({ der }) => der),
    crls: read('crls').map(({ der }) => der),
    leaves: certificates.filter(isLeaf).map(({ name, der }) => ({ name: name.slice(0, -'.crt'.length), der })),
  }
}

function outcomesOf({ name, der }: Material['leaves'][number], material: Material): Outcome[] {
  const feature = name.replace(/^(?:Valid|Invalid)/, '').replace(/Test[0-9]+EE$/, '')
  const subTests = SUB_TESTS[name] ?? [resultInName(name)]
  return subTests.map((subTest, i) => ({
    id: subTests.length === 1 ? name : `${name}#${i + 1}`,
    feature,
    isPedantic: false,
    expected: subTest?.expected ?? 'reject',
    did: didOf(der, subTest, material),
  }))
}

function didOf(der: Uint8Array, subTest: SubTest | undefined, material: Material): Did {
  if (subTest === undefined) return { is: 'skipped', why: 'neither its name nor our table says what is expected' }
  if (Buffer.from(der).includes(DSA_ARC))
    return { is: 'skipped', why: 'DSA is no algorithm of ours (withdrawn by FIPS 186-5)' }
  return validate(der, subTest.inputs, material)
}

/** Content octets of 1.2.840.10040.4, below which DSA keys and signatures are named. */
const DSA_ARC = Buffer.from('2a8648ce3804', 'hex')

function resultInName(name: string): SubTest | undefined {
  if (name.startsWith('Valid')) return { inputs: {}, expected: 'accept' }
  return name.startsWith('Invalid') ? { inputs: {}, expected: 'reject' } : undefined
}

function validate(der: Uint8Array, policies: PolicyInputs, { anchor, others, crls }: Material): Did {
  // PKITS is about the algorithm of RFC 5280 §6; some of its certificates leave the profile of §4 on purpose.
  return judge(() =>
    findPath(der, { profile: 'rfc5280-path', anchors: [anchor], intermediates: others, at: AT, crls, policies }),
  )
}
