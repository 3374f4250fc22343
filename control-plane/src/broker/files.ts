import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureFolder, errorCode, readFileBounded } from '@vcc/runtime'
import { assertKeyOnlyCsr, decodePem, type VerifiedCsr, verifyCsr, X509Error } from '@vcc/x509'
import { BrokerError } from './errors.ts'

/** What an external broker works with, in the folder that the configuration names. */
export function brokerFiles(folder: string) {
  return {
    /** Key and chain in one file, so that nobody ever reads a pair that does not match. */
    identity: join(folder, 'broker.pem'),
    /** Put there by whoever runs the broker, where its key is to stay with it. */
    csr: join(folder, 'broker.csr'),
    /** The key of that request, on the broker's host only. */
    key: join(folder, 'broker.key'),
    /** The answer to it: the chain. */
    certificate: join(folder, 'broker.crt'),
    root: join(folder, 'mesh-root.pem'),
    configuration: join(folder, 'mosquitto.conf'),
    acl: join(folder, 'acl'),
  }
}

/**
 * Makes the folder (0700), or takes one that only its owner may write to: whoever may put a request there becomes the
 * broker.
 * @throws {BrokerError} `broker_folder_unsafe`
 */
export async function openBrokerFolder(folder: string): Promise<void> {
  await ensureFolder(folder)
  const { mode } = await stat(folder)
  if ((mode & 0o022) === 0) return
  throw new BrokerError(
    'broker_folder_unsafe',
    `${folder} may be written by others (mode ${(mode & 0o777).toString(8)})`,
    {
      hint: `chmod go-w ${folder}`,
    },
  )
}

/** The broker's request, when there is one. @throws {BrokerError} `broker_csr_refused` */
export async function readBrokerCsr(path: string): Promise<VerifiedCsr | undefined> {
  try {
    const text = (await readFileBounded(path, MAX_CSR_BYTES)).toString('latin1')
    const [der, ...others] = decodePem(text, 'CERTIFICATE REQUEST')
    if (der === undefined || others.length > 0)
      throw new BrokerError('broker_csr_refused', `${path} holds several requests`)
    const csr = verifyCsr(der)
    assertKeyOnlyCsr(csr)
    return csr
  } catch (cause) {
    if (errorCode(cause) === 'file_missing') return undefined
    if (!(cause instanceof X509Error)) throw cause
    throw new BrokerError('broker_csr_refused', `${path}: ${cause.message} [${cause.code}]`, {
      cause,
      hint: 'its subject is empty and it asks for nothing: openssl req -new -subj / …',
    })
  }
}

const MAX_CSR_BYTES = 16_384
