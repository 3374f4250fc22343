/** Why the certificate of an external broker is not issued. Codes are contract. */
export const BROKER_FAILURES = {
  broker_folder_unsafe: 'others may write to the folder from which the broker takes its certificate',
  broker_csr_refused: 'what lies in that folder as broker.csr is no certificate request that can be answered',
} as const

export type BrokerFailure = keyof typeof BROKER_FAILURES

export class BrokerError extends Error {
  override readonly name = 'BrokerError'
  readonly code: BrokerFailure
  readonly hint: string | undefined

  constructor(code: BrokerFailure, message: string, options: ErrorOptions & { hint?: string } = {}) {
    super(message, options)
    this.code = code
    this.hint = options.hint
  }
}
