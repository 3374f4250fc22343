import { randomFillSync } from 'node:crypto'

/**
 * 20 octets, the first 0x01–0x7f, all random: a positive INTEGER of constant length.
 *
 * "CAs MUST force the serialNumber to be a non-negative integer … and MUST NOT use values longer than 20 octets."
 * Source: RFC 5280 §4.1.2.2.
 */
export function drawSerial(): string {
  const octets = new Uint8Array(20)
  do {
    randomFillSync(octets)
  } while (octets[0] === undefined || octets[0] === 0 || octets[0] > 0x7f)
  return octets.toHex()
}
