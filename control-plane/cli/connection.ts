import { createHash } from 'node:crypto'
import { type ApiClient, apiClient } from '@vcc/api'
import { clientContext, peerDispatcher, unverifiedDispatcher } from '@vcc/mesh'
import { CliError, now, readSecretText } from '@vcc/runtime'
import { type Certificate, decodeCertificate, decodePem, ekuOid } from '@vcc/x509'
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
  // The control plane is `spiffe://<trust domain>/control`, whatever its host is called.
  const expected = {
    root,
    id: `spiffe://${context.trustDomain}/control`,
    eku: ekuOid(context.oidArc, 'api'),
    now,
  }
  const dispatcher = peerDispatcher(clientContext(root, { keyPem: clientPem, chainPem: clientPem }), expected)
  const client = apiClient({ baseUrl: context.apiUrl, dispatcher, timeoutMs: 90_000 })
  return {
    context,
    call: (route, input, options) => client.call(route, input, options),
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  }
}

/** The root that whoever answers there shows; believed by its fingerprint only, and told nothing. */
export async function fetchRoot(
  apiUrl: string,
  fingerprint: string,
): Promise<{ root: Certificate; trustStatement: string }> {
  const dispatcher = unverifiedDispatcher()
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
