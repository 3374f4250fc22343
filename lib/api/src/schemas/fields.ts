import { Type } from 'typebox'

/** Unknown fields are refused everywhere: an API that drops what it does not know hides mistakes. */
export const CLOSED = { additionalProperties: false } as const

/** ISO 8601, UTC, whole seconds: `2026-11-22T13:05:11Z`. */
export const Instant = Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z$' })

/** A service's name in its canonical form; `_` is accepted in requests and means `-`. */
export const ServiceName = Type.String({ pattern: '^[a-z][a-z0-9_-]{0,39}$' })

export const OrganizationId = Type.String({ pattern: '^[a-z][a-z0-9-]{0,39}$' })

/** Drawn by the control plane at join: certificate CN, MQTT client id and topic level. */
export const InstanceId = Type.String({ pattern: '^[a-z0-9]{16}$' })

/** Hex of the first 16 octets of SHA-256 over the CA's SPKI. */
export const CaId = Type.String({ pattern: '^[0-9a-f]{32}$' })

/** Lower-case hex, 40 digits: 20 octets. */
export const SerialHex = Type.String({ pattern: '^[0-9a-f]{2,40}$' })

/** `<ca_id>-<serial>`; a bare serial is accepted where it names one certificate only. */
export const CertId = Type.String({ pattern: '^([0-9a-f]{32}-)?[0-9a-f]{2,40}$' })

/** DER in base64 (RFC 4648 §4), at most 16 KiB decoded. */
export const Base64Der = Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$', maxLength: 21_848 })

/** PEM blocks, leaf first. */
export const PemChain = Type.String({ maxLength: 65_536 })

/** A compact JWS (RFC 7515 §7.1). */
export const CompactJws = Type.String({ pattern: '^[\\w-]+\\.[\\w-]+\\.[\\w-]+$', maxLength: 4_194_304 })

export const Sha256Hex = Type.String({ pattern: '^[0-9a-f]{64}$' })

/** `host:port`; an IPv6 address stands in brackets. */
export const HostPort = Type.String({ pattern: '^(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9.-]{1,253}):\\d{1,5}$' })

export const Mode = Type.Enum(['http', 'tcp'])

/** Opaque; comes from `next` of the page before. */
export const Cursor = Type.String({ maxLength: 200, pattern: '^[\\w-]+$' })

export const PageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 50 })),
  after: Type.Optional(Cursor),
}
