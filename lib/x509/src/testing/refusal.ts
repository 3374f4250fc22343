import { X509Error, type X509Failure } from '../errors.ts'

/** The code that `run` is refused with, or undefined when it is not. Any other error is a fault and thrown on. */
export function refusalOf(run: () => unknown): X509Failure | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof X509Error) return error.code
    throw error
  }
}

/** Octets from hex with spaces. */
export function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replace(/\s+/g, ''))
}
