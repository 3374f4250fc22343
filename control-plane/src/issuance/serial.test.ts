import { expect, test } from 'vitest'
import { drawSerial } from './serial.ts'

test('a serial is 20 octets whose first is 01 to 7f, in one text form', () => {
  for (let i = 0; i < 100_000; i++) {
    const serial = drawSerial()
    if (!/^(0[1-9a-f]|[1-7][0-9a-f])[0-9a-f]{38}$/.test(serial)) expect.fail(serial)
  }
})
