import { assertKeyOnlyCsr, type VerifiedCsr, verifyCsr, X509Error } from '@vcc/x509'
import { DomainError } from '../errors.ts'

/**
 * An agent's CSR: its key and nothing else. The CSR is the caller's, so its faults are the caller's.
 * @throws {DomainError} `csr_refused`
 */
export function admitAgentCsr(base64: string): VerifiedCsr {
  return refusing(() => {
    const csr = verifyCsr(fromBase64(base64))
    assertKeyOnlyCsr(csr)
    return csr
  })
}

/** A person's CSR may name things; the template decides what of it is used (nothing but the key, today). */
export function admitPersonCsr(base64: string): VerifiedCsr {
  return refusing(() => verifyCsr(fromBase64(base64)))
}

function refusing<T>(work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof X509Error) throw new DomainError('csr_refused', cause.message, { cause })
    throw cause
  }
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text)
  } catch (cause) {
    throw new DomainError('csr_refused', 'the CSR is not base64', { cause })
  }
}
