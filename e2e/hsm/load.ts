import { readFile } from 'node:fs/promises'
import { ROUTES } from '@vcc/api'
import { memorySigner } from '@vcc/keys'
import { clientContext, peerDispatcher, unverifiedDispatcher } from '@vcc/mesh'
import { buildCsr, decodeCertificate, ekuOid } from '@vcc/x509'
import { request } from 'undici'
import type { ControlPlane } from '../harness/control.ts'

/** What one request for a certificate got: its serial, or the refusal as it stands on the wire. */
export type Outcome =
  | { readonly serial: string }
  | { readonly status: number; readonly code: string; readonly retryAfter: string | undefined }

export interface Load extends AsyncDisposable {
  readonly outcomes: readonly Outcome[]
  /** Resolves when what is under way has its answer. */
  readonly stop: () => Promise<void>
}

/** Asks for admins' certificates without a pause, so many at a time, over one connection each. */
export async function issuanceLoad(control: ControlPlane, workers: number): Promise<Load> {
  const baseUrl = `https://127.0.0.1:${control.ports.agents}`
  const pem = await readFile(control.adminFile, 'utf8')
  const root = await rootOf(baseUrl)
  const expected = {
    root,
    id: 'spiffe://vcc.internal/control',
    eku: ekuOid('1.3.6.1.4.1.55555', 'api'),
    now: () => new Date(),
  }
  const dispatcher = peerDispatcher(clientContext(root, { keyPem: pem, chainPem: pem }), expected)
  const csr = Buffer.from(await buildCsr(await memorySigner('api', 'P-256'))).toString('base64')
  const outcomes: Outcome[] = []
  let isOn = true
  const ask = async (): Promise<Outcome> => {
    const answer = await request(baseUrl + ROUTES.certRequest.path, {
      method: 'POST',
      dispatcher,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ template: 'vcc-admin', account: 'ada', csr }),
    })
    const body = (await answer.body.json()) as { code: string; serial_number: string }
    if (answer.statusCode === 201) return { serial: body.serial_number }
    const after = answer.headers['retry-after']
    return { status: answer.statusCode, code: body.code, retryAfter: after === undefined ? undefined : String(after) }
  }
  const running = Promise.all(
    Array.from({ length: workers }, async () => {
      while (isOn) outcomes.push(await ask())
    }),
  )
  running.catch(() => {}) // told by `stop`
  const stop = async () => {
    isOn = false
    await running
  }
  return {
    outcomes,
    stop,
    async [Symbol.asyncDispose]() {
      isOn = false
      await running.catch(() => {})
      await dispatcher.destroy()
    },
  }
}

async function rootOf(baseUrl: string) {
  const dispatcher = unverifiedDispatcher()
  try {
    const answer = await request(baseUrl + ROUTES.meshRoot.path, { dispatcher })
    return decodeCertificate(Uint8Array.fromBase64(((await answer.body.json()) as { root: string }).root))
  } finally {
    await dispatcher.destroy()
  }
}
