import type { ClassName } from './class-name.ts'
import type { Position } from './problem.ts'

declare const parsed: unique symbol

/** The matrix of one organisation, as its file says it. Minted only by `parseMatrix`. */
export interface Matrix {
  readonly organization: string
  /** In the order of the file; no two for one service. */
  readonly entries: readonly Entry[]
  readonly [parsed]: true
}

/** What one key of `service_communication_policies` says. All names are canonical. */
export interface Entry {
  readonly organization: string
  readonly service: string
  /** How rule names call it: `argus`, or `partner/argus` for a service of another organisation. */
  readonly key: string
  readonly at: Position
  /** The position in this list is the index in rule names. */
  readonly outbound: readonly Pattern[]
  /** The class of the service's own certificate. Absent only in entries for another organisation's service. */
  readonly requiredAuth?: { readonly className: ClassName; readonly at: Position }
  /** Names and ports under which callers ask. Never dialled. */
  readonly endpoints: readonly string[]
  readonly isolation: Isolation
  readonly permissions: readonly string[]
  /** `field: value` of what is kept without effect, in the order of `RECORDED_FIELDS`. */
  readonly recorded: readonly Recorded[]
}

export type Isolation = 'high' | 'standard'

export interface Recorded {
  readonly field: 'pipeline_signing' | 'asset_signing' | 'special_permissions'
  readonly value: string
  readonly at: Position
}

/** One item of `allowed_outbound`. A wildcard matches within the matrix's own organisation only. */
export type Pattern = NamePattern | WildcardPattern

export interface NamePattern {
  readonly kind: 'name'
  readonly organization: string
  readonly service: string
  readonly at: Position
}

export interface WildcardPattern {
  /** `covina-*` is a prefix, `*-database` a suffix; `*` stands for any number of characters, none included. */
  readonly kind: 'prefix' | 'suffix'
  readonly literal: string
  readonly at: Position
}
