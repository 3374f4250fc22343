import { createPrivateKey, generateKeyPair, type KeyObject, sign } from 'node:crypto'
import { promisify } from 'node:util'
import { publicKeyOf, type TbsSigner } from '@vcc/x509'
import { AgentError } from '../errors.ts'

/** A P-256 key of this agent. It signs its CSRs and envelopes, and serves TLS. */
export interface AgentKey extends TbsSigner {
  readonly privateKey: KeyObject
  /** PKCS#8 in PEM: for the identity file and the TLS context, for nothing else. */
  readonly privateKeyPem: () => string
}

export async function generateAgentKey(): Promise<AgentKey> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return agentKey(privateKey)
}

/** @throws {AgentError} `identity_file_invalid` for anything but an unencrypted P-256 key */
export function parseAgentKey(pem: string): AgentKey {
  try {
    const key = agentKey(createPrivateKey(pem))
    const { kind } = key.publicKey
    if (kind.type === 'ec' && kind.curve === 'P-256') return key
  } catch (cause) {
    throw new AgentError('identity_file_invalid', 'the private key cannot be read', { cause })
  }
  throw new AgentError('identity_file_invalid', 'the private key is not one on the curve P-256')
}

function agentKey(privateKey: KeyObject): AgentKey {
  return {
    algorithm: 'ecdsa-sha256',
    publicKey: publicKeyOf(privateKey),
    sign: (bytes) => Promise.try(() => sign('sha256', bytes, { key: privateKey, dsaEncoding: 'der' })),
    privateKey,
    privateKeyPem: () => privateKey.export({ type: 'pkcs8', format: 'pem' }),
  }
}
