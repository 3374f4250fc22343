import { constants, createHash } from 'node:crypto'
import { connect, createSecureContext, type PeerCertificate, type TLSSocket } from 'node:tls'
import { type ApiClient, apiClient } from '@vcc/api'
import { CliError, now, readSecretText } from '@vcc/runtime'
import {
  type Certificate,
  decodeCertificate,
  decodePem,
  ekuOid,
  uriIdentityOf,
  validateChain,
  X509Error,
} from '@vcc/x509'
import { Agent, type Dispatcher } from 'undici'
import { type Context, readContext } from './context.ts'

/** The API as the configured admin. Ends its connections when disposed. */
export interface Connection extends AsyncDisposable {
  readonly call: ApiClient['call']
  readonly context: Context
}

/** @throws {CliError} `not_configured`; RuntimeError of the certificate file. */
export async function connection(): Promise<Connection> {
  const context = await readContext()
  return open(context, await readSecretText(context.clientCertFile))
}

/** With key and chain in one PEM text. */
export function open(context: Context, clientPem: string): Connection {
  const [rootDer] = decodePem(context.rootPem, 'CERTIFICATE')
  if (rootDer === undefined) throw new CliError('usage', 'context_invalid', 'the context holds no root')
  const root = decodeCertificate(rootDer)
  const dispatcher = dispatcherOver((host, port) =>
    connect({
      host,
      port,
      secureContext: createSecureContext({ ...TLS, key: clientPem, cert: clientPem, ca: context.rootPem }),
      rejectUnauthorized: true,
      checkServerIdentity: (_host, certificate) => faultOf(certificate, root, context),
    }),
  )
  return {
    context,
    call: apiClient({ baseUrl: context.apiUrl, dispatcher, timeoutMs: 90_000 }).call,
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  }
}

/** The root that whoever answers there shows; believed by its fingerprint only, and told nothing. */
export async function fetchRoot(
  apiUrl: string,
  fingerprint: string,
): Promise<{ root: Certificate; trustStatement: string }> {
  const dispatcher = dispatcherOver((host, port) =>
    connect({ host, port, ...TLS, rejectUnauthorized: false, checkServerIdentity: () => undefined }),
  )
  try {
    const answer = await apiClient({ baseUrl: apiUrl, dispatcher, timeoutMs: 15_000 }).call('meshRoot', {})
    const der = Uint8Array.fromBase64(answer.root)
    const found = `sha256:${createHash('sha256').update(der).digest('hex')}`
    if (found !== fingerprint) {
      throw new CliError('failed', 'fingerprint_mismatch', `the mesh root there has the fingerprint ${found}`, {
        hint: 'compare with `vcc-control fingerprint` on the machine of the control plane; this may be somebody else',
      })
    }
    return { root: decodeCertificate(der), trustStatement: answer.trustStatement }
  } finally {
    await dispatcher.destroy()
  }
}

const TLS = {
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256',
  ecdhCurve: 'SecP256r1MLKEM768:P-256:P-384',
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const

/** The control plane is `spiffe://<trust domain>/control`, whatever its host is called. */
function faultOf(certificate: PeerCertificate, root: Certificate, context: Context): Error | undefined {
  try {
    const eku = ekuOid(context.oidArc, 'api')
    const { leaf } = validateChain(chainOf(certificate), { anchors: [root], at: now(), skewSeconds: 300, eku })
    const uri = uriIdentityOf(leaf)
    return uri === `spiffe://${context.trustDomain}/control` ? undefined : new Error(`the server is ${uri}`)
  } catch (error) {
    return error instanceof X509Error ? error : new Error('the certificate of the server cannot be read')
  }
}

function chainOf(certificate: PeerCertificate & { issuerCertificate?: PeerCertificate }): Uint8Array[] {
  const chain: Uint8Array[] = []
  let at: (PeerCertificate & { issuerCertificate?: PeerCertificate }) | undefined = certificate
  while (at !== undefined && chain.length < 4) {
    chain.push(new Uint8Array(at.raw))
    at = at.issuerCertificate === at ? undefined : at.issuerCertificate
  }
  return chain
}

const CONNECT_MS = 10_000

function dispatcherOver(dial: (host: string, port: number) => TLSSocket): Dispatcher & { destroy(): Promise<void> } {
  return new Agent({
    connections: 1,
    connect: (options, done) => {
      const socket = dial(options.hostname.replace(/^\[|\]$/g, ''), Number(options.port || 443))
      const late = setTimeout(() => socket.destroy(new Error('no TLS connection within 10 s')), CONNECT_MS)
      let isDone = false
      const finish = (error: Error | null) => {
        if (isDone) return
        isDone = true
        clearTimeout(late)
        if (error !== null) socket.destroy()
        if (error === null) done(null, socket)
        else done(error, null)
      }
      socket.once('secureConnect', () => finish(socket.isSessionReused() ? new Error('a session was resumed') : null))
      socket.on('error', finish)
      socket.once('close', () => finish(new Error('the connection closed during the handshake')))
    },
  })
}
