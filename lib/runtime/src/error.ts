/** What this library refuses. The message is safe to show; `hint` says what to type; `cause` is for the log. */
export const RUNTIME_FAILURES = {
  duration_invalid: 'a duration without units, or with unknown ones',
  file_missing: 'no file has this name',
  file_not_regular: 'a folder, device, socket or pipe where a file is expected',
  file_too_large: 'more bytes than the caller accepts',
  file_unwritable: 'the operating system refuses to create, write or replace it',
  file_unreadable: 'the operating system refuses to open or read it',
  secret_permissions: 'a secret that others on this machine can read or change',
  secret_empty: 'a secret of no bytes',
  key_file_invalid: 'neither 32 raw bytes nor 64 hexadecimal digits',
  stdin_too_large: 'more bytes on standard input than the caller accepts',
  deadline_exceeded: 'a wait that took longer than it may',
  node_too_old: 'this Node.js lacks what the program needs',
} as const

export type RuntimeFailure = keyof typeof RUNTIME_FAILURES

export class RuntimeError extends Error {
  override readonly name = 'RuntimeError'
  readonly code: RuntimeFailure
  readonly hint: string | undefined

  constructor(code: RuntimeFailure, message: string, options: ErrorOptions & { hint?: string } = {}) {
    super(message, options)
    this.code = code
    this.hint = options.hint
  }
}

/** The `code` of an error of Node's or ours, `undefined` for anything without one. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
