import type { DenialEntry, FleetContent } from '@vcc/mesh'
import { isoSeconds } from '@vcc/mesh'
import type { Authority } from '../authority/authority.ts'
import { GRANTS_CLASSES } from '../authority/hierarchy.ts'
import type { Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import {
  blockedKeysInUse,
  type DenialRow,
  MAX_DENIALS,
  MAX_REVOCATIONS,
  releasesSince,
  revokedLeaves,
  standingDenials,
} from './store.ts'

export type ShutOut = Pick<FleetContent, 'denials' | 'revocations' | 'releases'>

/**
 * Who is shut out of the mesh, as signed state says it: denials of operators, and what follows from certificates,
 * keys and CAs that are revoked. What has expired leaves it; a release stays for a year, so that an agent that was away
 * hears of it.
 *
 * @throws {DomainError} `revocation_too_large` when it does not fit: nothing is published then that leaves one out.
 */
export function* shutOut(authorities: readonly Authority[], now: Date): Unit<ShutOut> {
  const at = epochSeconds(now)
  const speakers = new Map(authorities.filter((one) => GRANTS_CLASSES.has(one.profile)).map((one) => [one.caId, one]))
  const spkiOf = (caId: string) => speakers.get(caId)?.certificate.publicKey.spkiSha256Hex ?? ''
  const serials = (yield* revokedLeaves([...speakers.keys()], at)).map((leaf) => ({
    id: leaf.cert_id,
    kind: 'serial' as const,
    value: leaf.serial_number,
    issuer: spkiOf(leaf.issuing_ca_id),
    until: untilOf(leaf.expires_at),
  }))
  const keys = (yield* blockedKeysInUse(at)).map(({ spki_sha256, until }) => ({
    id: `key-${spki_sha256.slice(0, 48)}`,
    kind: 'spki' as const,
    value: spki_sha256,
    until: untilOf(until),
  }))
  const issuers = [...speakers.values()]
    .filter((one) => one.revoked)
    .map(({ caId, certificate }) => ({
      id: `ca-${caId}`,
      kind: 'issuer' as const,
      value: certificate.publicKey.spkiSha256Hex,
      until: untilOf(epochSeconds(certificate.notAfter)),
    }))
  const revocations: DenialEntry[] = [...serials, ...keys, ...issuers]
  const denials = (yield* standingDenials(at)).map(entryOf)
  if (revocations.length > MAX_REVOCATIONS || denials.length > MAX_DENIALS) throw tooLarge()
  const releases = (yield* releasesSince(at - RELEASE_SECONDS)).map(({ denial_id: id }) => ({ id }))
  return { denials, revocations, releases }
}

function entryOf(row: DenialRow): DenialEntry {
  const common = { id: row.denial_id, until: row.until === null ? null : untilOf(row.until) }
  if (row.kind === 'serial') return { ...common, kind: 'serial', value: row.value, issuer: row.issuer ?? '' }
  return { ...common, kind: row.kind, value: row.value }
}

export function tooLarge(): DomainError {
  return new DomainError('revocation_too_large', 'signed state cannot carry so many revocations', {
    hint: 'deny the identities, or distrust the issuer: vcc-pki deny --help',
  })
}

function untilOf(seconds: number): string {
  return isoSeconds(new Date(seconds * 1000))
}

const RELEASE_SECONDS = 365 * 86_400
