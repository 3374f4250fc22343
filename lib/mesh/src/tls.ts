import { constants } from 'node:crypto'
import type { SecureContextOptions } from 'node:tls'

/**
 * TLS between agents and control plane, at both ends. Spread first, identity and trust after it: `setSecureContext`
 * drops what it is not given, so that each swap passes the whole object.
 * No tickets and no session handlers: a resumed session would skip revocation and policy.
 */
export const MESH_TLS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256',
  ecdhCurve: 'SecP256r1MLKEM768:P-256:P-384',
  sigalgs: [
    'ecdsa_secp256r1_sha256',
    'ecdsa_secp384r1_sha384',
    'ecdsa_secp521r1_sha512',
    'rsa_pss_rsae_sha256',
    'rsa_pss_rsae_sha384',
    'rsa_pss_rsae_sha512',
  ].join(':'),
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies SecureContextOptions
