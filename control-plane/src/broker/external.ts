import { existsSync } from 'node:fs'
import type { PeerAddress } from '@vcc/mesh'
import { writeFileAtomic } from '@vcc/runtime'
import type { Certificate, PublicKey } from '@vcc/x509'
import { coalesced } from '../coalesced.ts'
import { certifyIdentity, type IdentityDeps, issueIdentity } from '../tls/identity.ts'
import type { Broker } from './broker.ts'
import { brokerFiles, openBrokerFolder, readBrokerCsr } from './files.ts'

export type ExternalBrokerDeps = IdentityDeps & {
  /** The broker has to be told to read it. */
  readonly onWritten: (fact: { file: string; serialHex: string }) => void
}

/**
 * A broker that somebody else runs. We give it its certificate, as a file in `folder`: with a key of ours
 * (`broker.pem`), or for the key of the request that lies there (`broker.csr` → `broker.crt`), so that a broker of
 * another user or host keeps its key. It reads them when it is told to; ending a client's connection is not in our
 * hands.
 */
export function externalBroker(at: { address: PeerAddress; folder: string }, deps: ExternalBrokerDeps): Broker {
  const files = brokerFiles(at.folder)
  let issued: Issued | undefined
  let written: Issued | undefined

  /** Again after a failure, after somebody removed the file, and for another request than before. */
  const write = coalesced(async () => {
    await openBrokerFolder(at.folder)
    const csr = await readBrokerCsr(files.csr)
    if (issued?.csrSpki !== csr?.publicKey.spkiSha256Hex) issued = undefined
    issued ??= csr ? await answered(csr.publicKey, files.certificate, deps) : await made(files.identity, deps)
    const due = issued
    if (written === due && existsSync(due.file)) return
    await writeFileAtomic(due.file, due.text, { mode: due.mode })
    written = due
    deps.onWritten({ file: due.file, serialHex: due.certificate.serialHex })
  })
  return {
    address: at.address,
    async renewCertificate() {
      issued = undefined
      await write()
    },
    tend: write,
    disconnect: () => {},
    async [Symbol.asyncDispose]() {},
  }
}

interface Issued {
  readonly certificate: Certificate
  /** Of the request it answers; none for a key of ours. */
  readonly csrSpki: string | undefined
  readonly file: string
  readonly text: string
  readonly mode: number
}

async function made(file: string, deps: ExternalBrokerDeps): Promise<Issued> {
  const { certificate, key, cert } = await issueIdentity('broker', deps)
  return { certificate, csrSpki: undefined, file, text: `${key}${cert}`, mode: 0o600 }
}

async function answered(publicKey: PublicKey, file: string, deps: ExternalBrokerDeps): Promise<Issued> {
  const { certificate, cert } = await certifyIdentity('broker', publicKey, deps)
  return { certificate, csrSpki: publicKey.spkiSha256Hex, file, text: cert, mode: 0o644 }
}
