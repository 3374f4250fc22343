import { type Static, type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { KeyFailure } from '../error.ts'
import type { KeySpec } from '../signer.ts'

/**
 * What a process and its signer process say to each other. What comes from there is checked here: foreign code runs
 * beside it. The signer process imports only the types.
 */

const CLOSED = { additionalProperties: false } as const
const KeyId = Type.String({ pattern: '^[0-9a-f]{32}$' })
const Hex = Type.String({ pattern: '^([0-9a-f]{2})+$', maxLength: 4096 })
const Words = Type.String({ maxLength: 300 })
const Known = Type.Union([Type.Boolean(), Type.Null()])

/** As read back from the token; null where it does not say. */
export const Protection = Type.Object(
  {
    token: Known,
    private: Known,
    sensitive: Known,
    extractable: Known,
    alwaysSensitive: Known,
    neverExtractable: Known,
    local: Known,
    sign: Known,
  },
  CLOSED,
)
export type Protection = Static<typeof Protection>

/** The token as it describes itself, and how many sessions it gave. */
export const TokenFacts = Type.Object(
  {
    label: Words,
    serial: Words,
    manufacturer: Words,
    model: Words,
    firmware: Words,
    library: Words,
    sessions: Type.Integer({ minimum: 1, maximum: 64 }),
  },
  CLOSED,
)
export type TokenFacts = Static<typeof TokenFacts>

/** One key: its public half as the token's attributes give it, DER and integers undecoded. */
export const TokenKey = Type.Object(
  {
    keyId: KeyId,
    label: Words,
    material: Type.Union([
      Type.Object({ type: Type.Literal('ec'), params: Hex, point: Hex }, CLOSED),
      Type.Object({ type: Type.Literal('rsa'), modulus: Hex, exponent: Hex }, CLOSED),
    ]),
    protection: Protection,
  },
  CLOSED,
)
export type TokenKey = Static<typeof TokenKey>

/** What is asked, by operation. It comes from the process that started the other one, and is not checked there. */
interface Requests {
  open: {
    readonly op: 'open'
    readonly module: string
    readonly label: string | null
    readonly serial: string | null
    readonly pin: string
    readonly sessions: number
    readonly keepAliveMs: number
  }
  list: { readonly op: 'list' }
  find: { readonly op: 'find'; readonly keyId: string }
  generate: { readonly op: 'generate'; readonly keyId: string; readonly label: string; readonly spec: KeySpec }
  destroy: { readonly op: 'destroy'; readonly keyId: string }
  sign: {
    readonly op: 'sign'
    readonly keyId: string
    readonly scheme: 'ecdsa' | 'rsa-pss-sha384'
    readonly digest: string
  }
}

/** What is answered, by operation. */
const ANSWERS = {
  open: TokenFacts,
  list: Type.Object({ keyIds: Type.Array(KeyId, { maxItems: 5000 }) }, CLOSED),
  find: TokenKey,
  generate: TokenKey,
  destroy: Type.Object({}, CLOSED),
  sign: Type.Object({ signature: Hex }, CLOSED),
} as const satisfies Record<keyof Requests, TSchema>

export type Operation = keyof Requests
export type Request<Op extends Operation = Operation> = Requests[Op]
export type Answer<Op extends Operation = Operation> = Static<(typeof ANSWERS)[Op]>

/** Why the signer process could not do it, and what callers are told. */
export const SIGNER_FAULTS = {
  /** Session, device or token is gone; the process is of no use any more. */
  lost: 'hsm_unavailable',
  failed: 'signer_failed',
  key_missing: 'key_not_found',
  key_unusable: 'hsm_key_refused',
  mechanism_missing: 'hsm_mechanism_missing',
  module_unusable: 'hsm_module_unusable',
  token_missing: 'hsm_token_missing',
  token_ambiguous: 'hsm_token_ambiguous',
  pin_refused: 'hsm_pin_refused',
  pin_locked: 'hsm_pin_locked',
} as const satisfies Record<string, KeyFailure>
export type SignerFaultCode = keyof typeof SIGNER_FAULTS

const Fault = Type.Object(
  {
    code: Type.Enum(Object.keys(SIGNER_FAULTS)),
    detail: Words,
    /** Whether the token may have done what was asked. */
    began: Type.Boolean(),
  },
  CLOSED,
)

const Reply = Type.Union([
  Type.Object({ id: Type.Integer(), answer: Type.Unknown() }, CLOSED),
  Type.Object({ id: Type.Integer(), fault: Fault }, CLOSED),
  /** Unasked, from the keep-alive: the token is gone. */
  Type.Object({ lost: Words }, CLOSED),
])

/** From the signer process. */
export type Reply =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly fault: { code: SignerFaultCode; detail: string; began: boolean } }
  | { readonly lost: string }

export interface Asked {
  readonly id: number
  readonly request: Request
}

/** @throws {TypeError} for anything but a reply */
export function parseReply(value: unknown): Reply {
  if (!reply.Check(value)) throw new TypeError('the signer process said something that is no reply')
  return value as Reply // checked against the shape just now; its codes are the keys of the table
}

/** @throws {TypeError} for anything but the answer of this operation */
export function parseAnswer<Op extends Operation>(op: Op, value: unknown): Answer<Op> {
  if (!answers[op].Check(value)) throw new TypeError(`the signer process answered "${op}" with something else`)
  return value as Answer<Op> // checked against the shape just now
}

const reply = Compile(Reply)
const answers = {
  open: Compile(ANSWERS.open),
  list: Compile(ANSWERS.list),
  find: Compile(ANSWERS.find),
  generate: Compile(ANSWERS.generate),
  destroy: Compile(ANSWERS.destroy),
  sign: Compile(ANSWERS.sign),
} as const satisfies Record<Operation, { Check(value: unknown): boolean }>
