/** Every reason for which a matrix is refused, and what it stands for. */
export const PROBLEMS = {
  text_too_large: 'more than 1 MiB, or than 500,000 tokens',
  character_refused: 'a control character or half a surrogate pair',
  yaml_syntax: 'not YAML 1.2',
  directive_refused: 'a %YAML or %TAG directive',
  alias_refused: 'an anchor or an alias',
  tag_refused: 'an explicit tag',
  too_deep: 'nested deeper than a matrix is',
  several_documents: 'more than one YAML document',
  document_empty: 'nothing in it',
  type_mismatch: 'a value of another kind than the field has',
  field_unknown: 'a field that does not exist',
  field_missing: 'a field that must be there',
  field_duplicate: 'a field written twice',
  field_not_for_foreign: "a field that only a service's own organisation decides",
  service_name_invalid: 'not the name of a service',
  service_name_reserved: 'a name the mesh keeps for itself',
  organization_name_invalid: 'not the name of an organisation',
  service_duplicate: 'two entries for one service',
  too_many_services: 'more than 10,000 services',
  list_too_long: 'a list with too many items',
  value_duplicate: 'the same item twice in a list',
  value_unknown: 'not one of the words the field knows',
  pattern_invalid: 'a wildcard that is not one leading or trailing * glued to text',
  pattern_foreign: "a wildcard or an admission into another organisation's services",
  class_name_invalid: 'not the name of a certificate class',
  class_unknown: 'a class that no issuing CA grants',
  endpoint_invalid: 'not an absolute https, http or tcp URL',
  permission_invalid: 'not the name of a permission',
  problems_truncated: 'more problems than are listed',
} as const

export type ProblemCode = keyof typeof PROBLEMS

/** 1-based; columns count UTF-16 units. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** One reason for which the text is refused. `message` and `hint` are one line each and safe to print. */
export interface Problem extends Position {
  readonly code: ProblemCode
  readonly message: string
  readonly hint: string
}

/** What an accepted matrix says without effect. */
export const NOTICES = {
  recorded_not_enforced: 'parsed and kept, without effect in this version',
  pattern_matches_nothing: 'a name or wildcard that matches no service known now',
} as const

export type NoticeCode = keyof typeof NOTICES

export interface Notice extends Position {
  readonly code: NoticeCode
  readonly message: string
  readonly hint: string
}
