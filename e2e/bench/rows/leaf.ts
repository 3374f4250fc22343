import { randomBytes } from 'node:crypto'
import { memorySigner } from '@vcc/keys'
import { testPki } from '@vcc/testkit'
import { assembleCertificate, buildTbs, decodeCertificate, encodeName, issuerOf } from '@vcc/x509'
import { peer } from '../peers/peculiar.ts'
import { cpuMicroseconds, type Row, row } from '../row.ts'

const RUNS = 3000

/** One service certificate: build, sign with P-256, assemble; and reading it back. */
export async function leaf(): Promise<readonly Row[]> {
  const theirs = await peer()
  const pki = testPki()
  const signer = await memorySigner('issuing', 'P-256')
  const subjectKey = await memorySigner('api', 'P-256')
  const ca = { ...pki.servicesCa.certificate, publicKey: signer.publicKey }
  const issuer = issuerOf(ca)
  const notBefore = new Date('2026-11-23T00:00:00Z')
  const notAfter = new Date('2026-11-29T23:59:59Z')
  const make = async () => {
    const tbs = buildTbs({
      profile: 'service',
      serialHex: `01${randomBytes(19).toString('hex')}`,
      issuer,
      subject: encodeName([{ type: 'CN', value: 'abcdefghij012345' }]),
      publicKey: subjectKey.publicKey,
      notBefore,
      notAfter,
      oidArc: '1.3.6.1.4.1.55555',
      uris: ['spiffe://vcc.internal/org/brandenburg/svc/argus'],
      dnsNames: ['argus.brandenburg.vcc.internal', 'argus.vcc.internal'],
      classes: ['1.3.6.1.4.1.55555.2.1'],
      crlUrl: 'http://pki.vcc.internal/crl/0.crl',
      ocspUrl: 'http://pki.vcc.internal/ocsp',
      caIssuersUrl: 'http://pki.vcc.internal/ca.cer',
    })
    return assembleCertificate(tbs, signer.algorithm, await signer.sign(tbs.der))
  }
  const der = await make()
  const making = row({
    id: 'leaf-build',
    what: 'build, sign and assemble one service certificate',
    unit: 'µs CPU',
    ours: await cpuMicroseconds(RUNS, make),
    peer: { name: '@peculiar/x509', value: await cpuMicroseconds(RUNS / 10, theirs.make) },
    goal: 0.25,
  })
  const reading = row({
    id: 'leaf-read',
    what: 'decode one service certificate with all its extensions',
    unit: 'µs CPU',
    ours: await cpuMicroseconds(RUNS, () => decodeCertificate(der)),
    peer: { name: '@peculiar/x509', value: await cpuMicroseconds(RUNS / 10, () => theirs.read(der)) },
    goal: 0.5,
  })
  return [making, reading]
}
