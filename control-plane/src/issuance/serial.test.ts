import { der } from '@vcc/x509'
import { expect, test } from 'vitest'
import { drawSerial } from './serial.ts'

test('ca-1 a million serials: 20 octets whose first is 01 to 7f, as long in DER, in one text form', () => {
  for (let i = 0; i < 1_000_000; i++) {
    const serial = drawSerial()
    if (!/^(0[1-9a-f]|[1-7][0-9a-f])[0-9a-f]{38}$/.test(serial)) expect.fail(serial)
    if (der.integer(Uint8Array.fromHex(serial)).length !== 22) expect.fail(serial)
  }
}, 300_000)
