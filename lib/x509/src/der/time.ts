import type { OnDeparture } from '../departure.ts'
import { refuseDeparture } from '../departure.ts'
import { X509Error } from '../errors.ts'
import type { DerReader } from './reader.ts'
import { peekTag, readPrimitive } from './reader.ts'
import { TAG } from './tag.ts'
import { asciiString } from './writer.ts'

/**
 * A Time of a certificate or CRL: whole seconds, in `Z`, without fraction.
 *
 * @throws {X509Error} `der_time_invalid`.
 */
export function readTime(reader: DerReader, onDeparture: OnDeparture = refuseDeparture): Date {
  const isUtc = peekTag(reader) === TAG.utcTime
  const text = String.fromCharCode(...readPrimitive(reader, isUtc ? TAG.utcTime : TAG.generalizedTime).subarray(0, 16))
  const match = (isUtc ? UTC_TIME : GENERALIZED_TIME).exec(text)
  if (match === null) throw new X509Error('der_time_invalid', 'a time is not written in whole seconds and Z')
  const [, yearText, month, day, hours, minutes, seconds] = match
  // "Where YY is greater than or equal to 50, the year SHALL be interpreted as 19YY": RFC 5280 §4.1.2.5.1
  const year = isUtc ? Number(yearText) + (Number(yearText) >= 50 ? 1900 : 2000) : Number(yearText)
  // "CAs conforming to this profile MUST always encode certificate validity dates through the year 2049 as UTCTime":
  // RFC 5280 §4.1.2.5
  if (!isUtc && year < 2050) onDeparture('der_time_invalid', 'a time before 2050 is written as GeneralizedTime')
  return inCalendar(`${String(year).padStart(4, '0')}-${month}-${day}T${hours}:${minutes}:${seconds}.000Z`)
}

/**
 * A GeneralizedTime where the type is no choice: whole seconds, in `Z`, of any year.
 *
 * @throws {X509Error} `der_time_invalid`.
 */
export function readGeneralizedTime(reader: DerReader): Date {
  const text = String.fromCharCode(...readPrimitive(reader, TAG.generalizedTime).subarray(0, 16))
  const match = GENERALIZED_TIME.exec(text)
  // "GeneralizedTime values MUST NOT include fractional seconds": RFC 5280 §4.1.2.5.2
  if (match === null) throw new X509Error('der_time_invalid', 'a time is not written in whole seconds and Z')
  const [, year, month, day, hours, minutes, seconds] = match
  return inCalendar(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}.000Z`)
}

function inCalendar(iso: string): Date {
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

/**
 * GeneralizedTime where the type is no choice, of any year from 0 to 9999.
 *
 * @throws {TypeError} for an instant with a fraction of a second or outside those years.
 */
export function encodeGeneralizedTime(instant: Date): Uint8Array {
  const year = instant.getUTCFullYear()
  if (instant.getTime() % 1000 !== 0 || !(year >= 0 && year <= 9999)) {
    throw new TypeError('encodeGeneralizedTime: not a whole second between the years 0 and 9999')
  }
  const out = new Uint8Array(17)
  out[0] = TAG.generalizedTime
  out[1] = 15
  writeTwoDigits(out, 2, Math.floor(year / 100))
  writeTwoDigits(out, 4, year % 100)
  writeTwoDigits(out, 6, instant.getUTCMonth() + 1)
  writeTwoDigits(out, 8, instant.getUTCDate())
  writeTwoDigits(out, 10, instant.getUTCHours())
  writeTwoDigits(out, 12, instant.getUTCMinutes())
  writeTwoDigits(out, 14, instant.getUTCSeconds())
  out[16] = 0x5a
  return out
}

function writeTwoDigits(out: Uint8Array, at: number, value: number): void {
  out[at] = 0x30 + Math.floor(value / 10)
  out[at + 1] = 0x30 + (value % 10)
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
