import { expect, test } from 'vitest'
import { addressPrefix } from './entry.ts'

const cases: readonly [string, string | undefined][] = [
  ['10.20.30.40', '10.20.30.0/24'],
  ['::ffff:10.20.30.40', '10.20.30.0/24'],
  ['2001:db8:1:2345:6:7:8:9', '2001:db8:1:2300::/56'],
  ['2001:db8::1', '2001:db8:0:0::/56'],
  ['fe80::1%eth0', 'fe80:0:0:0::/56'],
  ['::1', '0:0:0:0::/56'],
  ['2001:db8:1:45::', '2001:db8:1:0::/56'],
  ['10.20.30', undefined],
  ['erika', undefined],
  ['', undefined],
]

for (const [ip, prefix] of cases) {
  test(`of ${ip} only ${prefix ?? 'nothing'} is kept`, () => {
    expect(addressPrefix(ip)).toBe(prefix)
  })
}
