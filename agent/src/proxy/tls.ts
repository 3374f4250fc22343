import { constants, createHash } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions, type TlsOptions } from 'node:tls'
import { type Certificate, encodePem } from '@vcc/x509'
import { ALPN_FOREIGN, ALPN_MESH, ALPN_SELF_CHECK } from './wire.ts'

/** What is offered and accepted, in OpenSSL's notation. */
export interface TlsSettings {
  readonly ciphers: string
  readonly groups: string
  readonly signatures: string
}

export const TLS_SETTINGS: TlsSettings = {
  ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256',
  groups: 'SecP256r1MLKEM768:P-256:P-384',
  signatures:
    'ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pkcs1_sha256:rsa_pkcs1_sha384',
}

/** TLS of one generation of key, chain and anchors. Compared by identity: a new one means new connections. */
export interface Tls {
  /** The one context of outbound connections: creating one per connection is slow and leaks. */
  readonly client: SecureContext
  /** Everything a listener needs, in one object: options are never merged, so one left out would be gone. */
  readonly server: TlsOptions
  /** What both were made from, to notice that nothing has changed. */
  readonly fingerprint: string
}

export interface TlsInput {
  readonly keyPem: string
  readonly chain: readonly Uint8Array[]
  readonly anchors: readonly Certificate[]
  readonly settings: Partial<TlsSettings> | undefined
}

/** @throws {Error} of node:tls when key and certificate do not belong together, or a setting is not known. */
export function buildTls(input: TlsInput, previous?: Tls): Tls {
  const settings = { ...TLS_SETTINGS, ...input.settings }
  const fingerprint = fingerprintOf(input, settings)
  if (previous?.fingerprint === fingerprint) return previous
  const common = secureContextOptions(input, settings)
  return {
    client: createSecureContext(common),
    server: {
      ...common,
      requestCert: true,
      // The gate is ours, so that the reason and the peer survive a refusal: see gate.ts.
      rejectUnauthorized: false,
      ALPNProtocols: [ALPN_MESH, ALPN_SELF_CHECK, ALPN_FOREIGN],
      // Belt and braces: without tickets and handlers nothing resumes, and a session of another generation never fits.
      sessionIdContext: fingerprint.slice(0, 32),
    },
    fingerprint,
  }
}

function secureContextOptions(input: TlsInput, settings: TlsSettings): SecureContextOptions {
  return {
    key: input.keyPem,
    cert: input.chain.map((der) => encodePem('CERTIFICATE', der)).join(''),
    ca: input.anchors.map((anchor) => encodePem('CERTIFICATE', anchor.der)),
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: settings.ciphers,
    ecdhCurve: settings.groups,
    sigalgs: settings.signatures,
    secureOptions: constants.SSL_OP_NO_TICKET,
    honorCipherOrder: true,
  }
}

function fingerprintOf(input: TlsInput, settings: TlsSettings): string {
  const hash = createHash('sha256')
  hash.update(input.keyPem)
  for (const der of [...input.chain, ...input.anchors.map((anchor) => anchor.der)]) {
    hash.update(String(der.length)).update(der)
  }
  return hash.update(JSON.stringify(settings)).digest('hex')
}
