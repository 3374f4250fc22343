/** One forward step of the schema. What is written here once released never changes. */
export interface Migration {
  /** One more than its predecessor's. */
  readonly version: number
  readonly name: string
  /** Statements, run in one transaction. */
  readonly statements: string
}
