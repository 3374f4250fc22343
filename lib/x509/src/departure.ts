import { X509Error } from './errors.ts'

/** Ways to leave the certificate profile of RFC 5280 §4.1 that hinder nobody from reading the certificate. */
export type Departure = 'certificate_serial' | 'certificate_unique_id' | 'der_time_invalid'

/** What is done about one: our own certificates are refused, of foreign ones it is noted for their profile to judge. */
export type OnDeparture = (code: Departure, message: string) => void

export const refuseDeparture: OnDeparture = (code, message) => {
  throw new X509Error(code, message)
}
