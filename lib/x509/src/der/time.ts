import { X509Error } from '../errors.ts'
import type { DerReader } from './reader.ts'
import { peekTag, readPrimitive } from './reader.ts'
import { TAG } from './tag.ts'
import { asciiString } from './writer.ts'

/**
 * A Time of a certificate: whole seconds, in `Z`, without fraction.
 *
 * @throws {X509Error} `der_time_invalid`.
 */
export function readTime(reader: DerReader): Date {
  const isUtc = peekTag(reader) === TAG.utcTime
  const text = String.fromCharCode(...readPrimitive(reader, isUtc ? TAG.utcTime : TAG.generalizedTime).subarray(0, 16))
  const match = (isUtc ? UTC_TIME : GENERALIZED_TIME).exec(text)
  if (match === null) throw new X509Error('der_time_invalid', 'a time is not written in whole seconds and Z')
  const [, yearText, month, day, hours, minutes, seconds] = match
  // "Where YY is greater than or equal to 50, the year SHALL be interpreted as 19YY": RFC 5280 §4.1.2.5.1
  const year = isUtc ? Number(yearText) + (Number(yearText) >= 50 ? 1900 : 2000) : Number(yearText)
  // "CAs conforming to this profile MUST always encode certificate validity dates through the year 2049 as UTCTime":
  // RFC 5280 §4.1.2.5
  if (!isUtc && year < 2050) throw new X509Error('der_time_invalid', 'a time before 2050 is written as GeneralizedTime')
  const iso = `${String(year).padStart(4, '0')}-${month}-${day}T${hours}:${minutes}:${seconds}.000Z`
  const instant = new Date(iso)
  if (Number.isNaN(instant.getTime()) || instant.toISOString() !== iso) {
    throw new X509Error('der_time_invalid', 'a time is not in the calendar')
  }
  return instant
}

/**
 * UTCTime through 2049, GeneralizedTime from 2050 on.
 *
 * @throws {TypeError} for an instant with a fraction of a second or outside 1950–9999.
 */
export function encodeTime(instant: Date): Uint8Array {
  const year = instant.getUTCFullYear()
  if (instant.getTime() % 1000 !== 0 || Number.isNaN(year) || year < 1950 || year > 9999) {
    throw new TypeError('encodeTime: not a whole second between 1950 and 9999')
  }
  const digits = `${instant.toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`
  return year < 2050 ? asciiString(TAG.utcTime, digits.slice(2)) : asciiString(TAG.generalizedTime, digits)
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
