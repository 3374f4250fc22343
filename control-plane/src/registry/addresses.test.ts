import { describe, expect, test } from 'vitest'
import { addressesWithin, areNetworks, formatAddress, parseAddress } from './addresses.ts'

describe('addresses', () => {
  for (const text of ['127.0.0.1:1', 'argus.vcc.internal:65535', '[::1]:9443', '[fd00::1]:80']) {
    test(`${text} is one, and is written back the same`, () => {
      const address = parseAddress(text)
      expect(address && formatAddress(address)).toBe(text)
    })
  }
  for (const text of [
    '',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '::1:80',
    '[::1]',
    '[argus]:80',
    'a b:1',
    'http://a:1',
  ]) {
    test(`"${text}" is none`, () => {
      expect(parseAddress(text)).toBeUndefined()
    })
  }
})

const within: readonly { host: string; networks: string[]; is: boolean }[] = [
  { host: '10.1.2.3', networks: [], is: true },
  { host: 'argus.vcc.internal', networks: [], is: true },
  { host: '10.1.2.3', networks: ['10.0.0.0/8'], is: true },
  { host: '11.1.2.3', networks: ['10.0.0.0/8'], is: false },
  { host: '11.1.2.3', networks: ['10.0.0.0/8', '11.0.0.0/8'], is: true },
  { host: 'fd00::7', networks: ['fd00::/8'], is: true },
  { host: 'fe80::7', networks: ['fd00::/8'], is: false },
  { host: 'argus.vcc.internal', networks: ['0.0.0.0/0'], is: false },
]
for (const { host, networks, is } of within) {
  test(`${host} ${is ? 'lies' : 'does not lie'} within [${networks.join(', ')}]`, () => {
    expect(addressesWithin([{ host, port: 1 }], networks)).toBe(is)
  })
}

const networks: readonly [string, boolean][] = [
  ['10.0.0.0/8', true],
  ['fd00::/128', true],
  ['10.0.0.0/33', false],
  ['10.0.0.0', false],
  ['argus/8', false],
  ['10.0.0.0/8/8', false],
  ['10.0.0.0/-1', false],
]
for (const [text, is] of networks) {
  test(`${text} ${is ? 'is' : 'is not'} a network`, () => {
    expect(areNetworks([text])).toBe(is)
  })
}
