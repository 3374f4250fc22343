import { type Static, Type } from 'typebox'
import { CaId, CLOSED, Sha256Hex } from './fields.ts'

const KeyId = Type.String({ pattern: '^[0-9a-f]{32}$' })

/** `<purpose>-<key_id>`; in a token it is the label of the key. */
export const KeyLabel = Type.String({ pattern: '^[a-z-]{2,20}-[0-9a-f]{32}$' })
export const KeyPurpose = Type.Enum(['root', 'issuing', 'state', 'audit', 'feed', 'ocsp', 'tsa', 'code-signing'])
const KeySpec = Type.Enum(['P-256', 'P-384', 'RSA-3072', 'RSA-4096'])
const KeyHeld = Type.Enum(['software', 'hsm'])
const Known = Type.Union([Type.Boolean(), Type.Null()])

export const KeyUse = Type.Union([
  Type.Object({ kind: Type.Literal('ca'), ca_id: CaId, name: Type.String() }, CLOSED),
  Type.Object({ kind: Type.Literal('state_signer'), role: Type.Enum(['active', 'spare']) }, CLOSED),
])
export type KeyUse = Static<typeof KeyUse>

export const KeySummary = Type.Object(
  {
    key_label: Type.String(),
    key_id: KeyId,
    purpose: Type.String(),
    algorithm: Type.String(),
    held: KeyHeld,
    spki_sha256: Sha256Hex,
    /** What its token says of it; null where it lies in a file of ours. */
    attributes: Type.Union([
      Type.Object(
        {
          sensitive: Known,
          extractable: Known,
          always_sensitive: Known,
          never_extractable: Known,
          local: Known,
        },
        CLOSED,
      ),
      Type.Null(),
    ]),
    used_by: Type.Array(KeyUse),
  },
  CLOSED,
)
export type KeySummary = Static<typeof KeySummary>

export const KeyQuery = Type.Object({ held: Type.Optional(KeyHeld), purpose: Type.Optional(KeyPurpose) }, CLOSED)
export const KeyList = Type.Object({ items: Type.Array(KeySummary) }, CLOSED)
export type KeyList = Static<typeof KeyList>
export const KeyParams = Type.Object({ key_label: KeyLabel }, CLOSED)

export const PublicKeyPem = Type.Object({ key_label: Type.String(), public_key_pem: Type.String() }, CLOSED)

/** Made where the configuration says for the purpose: in the token, or in a file. */
export const GenerateKey = Type.Object({ purpose: KeyPurpose, algorithm: Type.Optional(KeySpec) }, CLOSED)

export const HsmStatus = Type.Object(
  {
    /** `trial`: it was away, and the first request is to show that it works. */
    state: Type.Enum(['not_configured', 'ready', 'trial', 'unavailable']),
    /** Why it is not available, as callers are told. */
    code: Type.Union([Type.String(), Type.Null()]),
    detail: Type.Union([Type.String(), Type.Null()]),
    hint: Type.Union([Type.String(), Type.Null()]),
    module: Type.Union([Type.String(), Type.Null()]),
    token: Type.Union([
      Type.Object(
        {
          label: Type.String(),
          serial_number: Type.String(),
          manufacturer: Type.String(),
          model: Type.String(),
          firmware: Type.String(),
          library: Type.String(),
        },
        CLOSED,
      ),
      Type.Null(),
    ]),
    sessions: Type.Integer(),
    under_way: Type.Integer(),
    waiting: Type.Integer(),
    /** Signer processes started after the first one. */
    restarts: Type.Integer(),
    /** Where a new key of each purpose is made. */
    stores: Type.Record(Type.String(), KeyHeld),
  },
  CLOSED,
)
export type HsmStatus = Static<typeof HsmStatus>
