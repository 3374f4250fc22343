import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase } from '../harness/database.ts'
import type { Installation } from './installation.ts'

export interface CertificateOnRecord {
  readonly ca: string
  readonly serial: string
  readonly state: 'issued' | 'orphaned'
  readonly reason: string | null
  readonly cause: string
  readonly key: string
  readonly name: string
  readonly purpose: string
}

/** What the database says, read by its owner. */
export interface OnRecord {
  readonly intents: readonly { readonly serial: string; readonly state: string; readonly cause: string }[]
  readonly certificates: readonly CertificateOnRecord[]
  /** Phases of the audit rows about a certificate, in order, by its serial. */
  readonly audit: ReadonlyMap<string, readonly string[]>
}

export async function onRecord(on: Pick<Installation, 'folder'>): Promise<OnRecord> {
  using database = await openDatabase(on)
  const audit = new Map<string, string[]>()
  const rows = database.rows("select record from audit_entries where target_type = 'certificate' order by seq")
  for (const { record } of rows) {
    const { phase, outcome, target } = JSON.parse(String(record)) as {
      phase?: string
      outcome?: string
      target: { id: string }
    }
    const serial = target.id.split('-')[1] ?? ''
    audit.set(serial, [...(audit.get(serial) ?? []), outcome ?? phase ?? ''])
  }
  return {
    intents: database.rows(
      "select serial_number as serial, state, json_extract(certificate, '$.cause') as cause from issuance_intents",
    ) as unknown as OnRecord['intents'],
    certificates: database.rows(
      `select issuing_ca_id as ca, serial_number as serial, state, revocation_reason as reason, cause,
        spki_sha256 as key, subject_dn as name, purpose from certificates`,
    ) as unknown as OnRecord['certificates'],
    audit,
  }
}

/** Serials in the order in which they were signed: by the doomed process, which told a file of each. */
export function signedSerials(on: Installation): readonly string[] {
  const file = join(on.folder, 'data.signed')
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
}

/** What must hold after every start, whatever happened before; empty when it does. */
export function contradictions(record: OnRecord, signed: readonly string[]): string[] {
  const certificates = new Map(record.certificates.map((one) => [one.serial, one]))
  const found: string[] = []
  if (new Set(signed).size !== signed.length) found.push('a serial was signed twice')
  if (certificates.size !== record.certificates.length) found.push('a serial is on record twice')
  for (const serial of signed) if (!certificates.has(serial)) found.push(`${serial} was signed and is not on record`)
  for (const { serial, state } of record.intents) {
    const certificate = certificates.get(serial)
    const expected = { completed: 'issued', orphaned: 'orphaned', open: 'resolved' }[state]
    if (certificate?.state !== expected) found.push(`intent of ${serial} is ${state}, its row ${certificate?.state}`)
    const rows = (record.audit.get(serial) ?? []).join(', ')
    const outcome = state === 'completed' ? 'success' : 'failure'
    if (rows !== `attempt, ${outcome}`) found.push(`the audit chain says of ${serial}: ${rows}`)
  }
  for (const { serial, state, reason } of record.certificates) {
    if (state === 'orphaned' && reason !== 'superseded') found.push(`the orphan ${serial} is not revoked`)
  }
  return found
}
