import type { HsmStatus, KeySummary } from '@vcc/api'
import type { StoredKey } from '@vcc/keys'
import { decodePublicKey } from '@vcc/x509'
import { STORED_PURPOSES } from './config.ts'
import type { Keys } from './open.ts'
import type { UsesOf } from './uses.ts'

/** As the API shows a key. */
export function keyView(key: StoredKey, usesOf: UsesOf): KeySummary {
  const { kind, spkiSha256Hex } = decodePublicKey(key.spkiDer)
  const { protection } = key
  return {
    key_label: labelOf(key),
    key_id: key.keyId,
    purpose: key.purpose,
    algorithm: kind.type === 'ec' ? kind.curve : `RSA-${kind.bits}`,
    held: key.held,
    spki_sha256: spkiSha256Hex,
    attributes:
      protection === undefined
        ? null
        : {
            sensitive: protection.sensitive,
            extractable: protection.extractable,
            always_sensitive: protection.alwaysSensitive,
            never_extractable: protection.neverExtractable,
            local: protection.local,
          },
    used_by: [...usesOf({ keyId: key.keyId, spkiSha256Hex })],
  }
}

/** In a token, this is what stands on the key. */
export function labelOf({ purpose, keyId }: Pick<StoredKey, 'purpose' | 'keyId'>): string {
  return `${purpose}-${keyId}`
}

export function hsmView(keys: Keys): HsmStatus {
  const status = keys.hsm?.status()
  const token = status?.token
  return {
    state: status === undefined ? 'not_configured' : STATES[status.breaker],
    code: status?.failure?.code ?? null,
    detail: status?.failure?.message ?? null,
    hint: status?.failure?.hint ?? null,
    module: keys.config.hsm?.module ?? null,
    token:
      token === undefined
        ? null
        : {
            label: token.label,
            serial_number: token.serial,
            manufacturer: token.manufacturer,
            model: token.model,
            firmware: token.firmware,
            library: token.library,
          },
    sessions: token?.sessions ?? 0,
    under_way: status?.underWay ?? 0,
    waiting: status?.waiting ?? 0,
    restarts: status?.restarts ?? 0,
    stores: Object.fromEntries(STORED_PURPOSES.map((purpose) => [purpose, keys.storeOf(purpose)])),
  }
}

const STATES = { closed: 'ready', half_open: 'trial', open: 'unavailable' } as const
