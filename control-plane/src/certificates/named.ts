import type { Unit } from '../database/unit.ts'
import { DomainError } from '../errors.ts'
import { type CertificateRow, certificatesNamed } from './store.ts'

/**
 * The one certificate of a name: `<ca_id>-<serial>`, or a serial that only one CA issued.
 * @throws {DomainError} `certificate_unknown`, `certificate_ambiguous`
 */
export function* certificateNamed(name: string, organization: string): Unit<CertificateRow> {
  const [row, ...more] = yield* certificatesNamed(name, organization)
  if (row === undefined) throw new DomainError('certificate_unknown', `there is no certificate ${name}`)
  if (more.length > 0)
    throw new DomainError('certificate_ambiguous', `several CAs issued the serial ${name}; name the cert_id`)
  return row
}
