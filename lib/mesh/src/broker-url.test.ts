import { expect, test } from 'vitest'
import { brokerAddress } from './broker-url.ts'

const cases: readonly [url: string, host: string, port: number][] = [
  ['mqtts://broker.example.org:8883', 'broker.example.org', 8883],
  ['mqtts://broker.example.org', 'broker.example.org', 8883],
  ['mqtts://127.0.0.1:1', '127.0.0.1', 1],
  ['mqtts://[2001:db8::1]:18883', '2001:db8::1', 18883],
]
for (const [url, host, port] of cases)
  test(`${url} is an address`, () => expect(brokerAddress(url)).toEqual({ host, port }))

const none = [
  '',
  'broker',
  'broker:8883',
  '127.0.0.1:8883',
  'mqtts://',
  'mqtts://:8883',
  'mqtts://broker:99999',
  'mqtts://bro ker:1',
]
for (const url of none) test(`"${url}" is none`, () => expect(brokerAddress(url)).toBeUndefined())
