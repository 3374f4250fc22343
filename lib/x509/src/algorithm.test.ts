import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { encodeAlgorithm, readAlgorithm, type SignatureAlgorithmName, verifySignature } from './algorithm.ts'
import { expectEnd, openDer, readInteger, readSequence } from './der/reader.ts'
import { testKey } from './testing/mint.ts'
import { hex, refusalOf } from './testing/refusal.ts'

/** RSA generation is slow: one key for the file. */
const rsa = testKey(generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey)
const ec = testKey('P-256')
const data = new TextEncoder().encode('what is signed')

function decode(der: Uint8Array): SignatureAlgorithmName {
  const reader = openDer(der, 256)
  const name = readAlgorithm(reader)
  expectEnd(reader)
  return name
}

/** As in CA/Browser Forum BR §7.1.3.2.1 and .2, which give these as whole octets. */
const WRITTEN: readonly (readonly [SignatureAlgorithmName, string])[] = [
  ['ecdsa-sha256', '300a06082a8648ce3d040302'],
  ['ecdsa-sha384', '300a06082a8648ce3d040303'],
  ['ecdsa-sha512', '300a06082a8648ce3d040304'],
  ['rsa-pkcs1-sha256', '300d06092a864886f70d01010b0500'],
  ['rsa-pkcs1-sha384', '300d06092a864886f70d01010c0500'],
  ['rsa-pkcs1-sha512', '300d06092a864886f70d01010d0500'],
  [
    'rsa-pss-sha256',
    '304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120',
  ],
  [
    'rsa-pss-sha384',
    '304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130',
  ],
  [
    'rsa-pss-sha512',
    '304106092a864886f70d01010a3034a00f300d06096086480165030402030500a11c301a06092a864886f70d010108300d06096086480165030402030500a203020140',
  ],
]

describe('AlgorithmIdentifier', () => {
  test.each(WRITTEN)('%s has one encoding', (name, der) => {
    expect(encodeAlgorithm(name).toHex()).toBe(der)
    expect(decode(hex(der))).toBe(name)
  })

  const PSS = '06092a864886f70d01010a'
  test.each([
    { name: 'ECDSA with NULL', der: '300c06082a8648ce3d0403020500' },
    { name: 'RSA without NULL', der: '300b06092a864886f70d01010b' },
    { name: 'MD5 with RSA', der: '300d06092a864886f70d0101040500' },
    { name: 'SHA-1 with RSA', der: '300d06092a864886f70d0101050500' },
    { name: 'SHA-1 with ECDSA', der: '300906072a8648ce3d0401' },
    { name: 'DSA with SHA-256', der: '300b0609608648016503040302' },
    { name: 'Ed25519', der: '300506032b6570' },
    { name: 'PSS by default: SHA-1 and a salt of 20', der: `300d${PSS}3000` },
    { name: 'PSS without parameters', der: `300b${PSS}` },
    {
      name: 'PSS with MGF1 of another hash',
      der: `3041${PSS}3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020120`,
    },
    {
      name: 'PSS with a salt of 20',
      der: `3041${PSS}3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020114`,
    },
    {
      name: 'PSS with a written trailer',
      der: `3046${PSS}3039a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120a303020101`,
    },
    { name: 'an empty SEQUENCE', der: '3000' },
  ])('$name is refused', ({ der }) => {
    expect({ fails: refusalOf(() => decode(hex(der))) }).toEqual({ fails: 'algorithm_unsupported' })
  })
})

describe('signatures', () => {
  const rsaNames = WRITTEN.map(([name]) => name).filter((name) => name.startsWith('rsa'))
  test.each(rsaNames)('%s verifies what node signs, and nothing else', (name) => {
    const signature = rsa.signNow(data, name)
    expect(rsaNames.filter((other) => verifySignature(other, rsa.publicKey, data, signature))).toEqual([name])
    expect(verifySignature(name, rsa.publicKey, new Uint8Array([...data, 0]), signature)).toBe(false)
  })

  test.each(['P-256', 'P-384', 'P-521'] as const)('ECDSA on %s', (curve) => {
    const key = testKey(curve)
    const signature = key.signNow(data)
    expect(verifySignature(key.algorithm, key.publicKey, data, signature)).toBe(true)
    expect(verifySignature(key.algorithm, ec.publicKey, data, signature)).toBe(false)
  })

  test('a key of the other kind verifies nothing', () => {
    expect(verifySignature('ecdsa-sha256', rsa.publicKey, data, rsa.signNow(data, 'rsa-pkcs1-sha256'))).toBe(false)
    expect(verifySignature('rsa-pss-sha384', ec.publicKey, data, ec.signNow(data))).toBe(false)
  })

  test('signatures of no form are false, not errors', () => {
    for (const signature of ['', '00', '3000', '3006020100020100', '30800000', 'ff'.repeat(72)]) {
      expect(verifySignature('ecdsa-sha256', ec.publicKey, data, hex(signature))).toBe(false)
      expect(verifySignature('rsa-pss-sha384', rsa.publicKey, data, hex(signature))).toBe(false)
    }
  })

  test('ca-20 ECDSA values are minimal DER, short r and s among them', () => {
    let shortest = 72
    for (let i = 0; i < 2000; i++) {
      const signature = ec.signNow(new Uint8Array([i & 0xff, i >> 8]))
      const reader = openDer(signature, 72)
      const values = readSequence(reader)
      readInteger(values)
      readInteger(values)
      expectEnd(values)
      expectEnd(reader)
      shortest = Math.min(shortest, signature.length)
    }
    expect(shortest).toBeLessThan(70)
  })

  test('an ECDSA signature in BER is refused', () => {
    const signature = ec.signNow(data)
    const longForm = new Uint8Array([0x30, 0x81, ...signature.subarray(1)])
    expect(verifySignature('ecdsa-sha256', ec.publicKey, data, longForm)).toBe(false)
  })
})
