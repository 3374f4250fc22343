import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { derToRaw, rawToDer } from './ecdsa.ts'
import { MeshError } from './errors.ts'

/** A number of `width` octets of which the first `zeros` are 0 and the next is `first`. */
function number(width: number, zeros: number, first: number): Uint8Array {
  return new Uint8Array(width)
    .fill(0xa5)
    .fill(0, 0, zeros)
    .fill(first, zeros, zeros + 1)
}

describe('ca-20 r and s', () => {
  test.each([
    ['P-256', 'sha256', 32],
    ['P-384', 'sha384', 48],
  ] as const)(
    'of ten thousand signatures on %s, short ones among them, go over into DER and back',
    (curve, hash, width) => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve })
      const key = createPublicKey(publicKey.export({ type: 'spki', format: 'pem' }))
      // P-384 is thirty times slower; a short number comes once in 128 signatures.
      const count = curve === 'P-256' ? 10_000 : 1_000
      let short = 0
      for (let i = 0; i < count; i++) {
        const data = Buffer.from(`${i}`)
        const raw = sign(hash, data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
        const der = rawToDer(raw, width)
        if (!verify(hash, data, { key, dsaEncoding: 'der' }, der)) expect.fail(raw.toString('hex'))
        if (Buffer.compare(derToRaw(der, width), raw) !== 0) expect.fail(raw.toString('hex'))
        if (raw[0] === 0 || raw[width] === 0) short += 1
      }
      expect(short).toBeGreaterThan(0)
    },
  )

  test.each([0, 1, 2, 30, 31])('with %i leading zeros are written as minimal, positive INTEGERs', (zeros) => {
    for (const first of [0x01, 0x7f, 0x80, 0xff]) {
      const raw = Buffer.concat([number(32, zeros, first), number(32, 0, 0x80)])
      const der = rawToDer(raw, 32)
      const length = der[3] ?? 0
      expect([der[1], der[2]]).toEqual([der.length - 2, 0x02])
      expect(length).toBe(32 - zeros + (first >= 0x80 ? 1 : 0))
      expect(Buffer.from(derToRaw(der, 32))).toEqual(raw)
    }
  })

  test.each([0, 63, 65, 96])('in %i octets are no signature on P-256', (length) => {
    expect(() => rawToDer(new Uint8Array(length), 32)).toThrow(MeshError)
  })
})
