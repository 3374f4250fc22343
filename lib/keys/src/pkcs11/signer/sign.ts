import pkcs11js, { type Handle, type Mechanism, type PKCS11 } from 'pkcs11js'
import type { Request } from '../message.ts'
import { awaiting, faultOf, returnValueOf, TokenFault } from './fault.ts'

/**
 * Signs a digest. ECDSA gives r ‖ s (PKCS#11 v2.40 mechanisms §2.3.1), RSA a PSS signature; hash, mask and salt are
 * said in full, since a module's own defaults are SHA-1 and 20 octets.
 */
export async function signDigest(
  { module, session }: { module: PKCS11; session: Handle },
  key: Handle,
  { scheme, digest }: Pick<Request<'sign'>, 'scheme' | 'digest'>,
): Promise<string> {
  try {
    module.C_SignInit(session, MECHANISMS[scheme](), key)
  } catch (cause) {
    const why = returnValueOf(cause)
    // The key was there when its handle was found. Some modules know so little of a token that went away and came back.
    if (why === 'CKR_KEY_HANDLE_INVALID' || why === 'CKR_OBJECT_HANDLE_INVALID') {
      throw new TokenFault('lost', `C_SignInit: ${why} for a key that was there`, { cause })
    }
    throw faultOf('C_SignInit', cause)
  }
  const input = Buffer.from(digest, 'hex')
  const output = Buffer.alloc(MAX_SIGNATURE_OCTETS)
  const signature = await awaiting('C_Sign', () => module.C_SignAsync(session, input, output))
  const hex = signature.toString('hex')
  input.fill(0) // also keeps it alive until here: the binding holds a bare pointer to its bytes
  return hex
}

const MECHANISMS = {
  ecdsa: () => ({ mechanism: pkcs11js.CKM_ECDSA }),
  'rsa-pss-sha384': () => ({
    mechanism: pkcs11js.CKM_RSA_PKCS_PSS,
    parameter: {
      type: pkcs11js.CK_PARAMS_RSA_PSS,
      hashAlg: pkcs11js.CKM_SHA384,
      mgf: pkcs11js.CKG_MGF1_SHA384,
      saltLen: 48,
    },
  }),
} as const satisfies Record<Request<'sign'>['scheme'], () => Mechanism>

/** RSA-4096. */
const MAX_SIGNATURE_OCTETS = 512
