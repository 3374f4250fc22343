import { join } from 'node:path'
import { type TrustStatement, verifyTrustStatement } from '@vcc/mesh'
import { errorCode, readFileBounded, writeFileAtomic } from '@vcc/runtime'
import { type Certificate, decodeCertificate, decodePem, encodePem } from '@vcc/x509'
import { AgentError } from '../errors.ts'
import { ignoreMissing } from '../identity/identity-file.ts'

/** What everything else is judged by. */
export interface MeshTrust {
  readonly root: Certificate
  readonly statement: TrustStatement
}

export interface TrustFiles {
  /** `undefined` before the first join. @throws {AgentError} `trust_file_invalid` */
  readonly read: () => Promise<MeshTrust | undefined>
  readonly readRoot: () => Promise<Certificate | undefined>
  /** @throws {AgentError} `trust_file_invalid` */
  readonly readStatement: (root: Certificate) => Promise<TrustStatement | undefined>
  readonly write: (root: Certificate, statementJws: string) => Promise<void>
  readonly writeStatement: (statementJws: string) => Promise<void>
}

export const STATEMENT_FILE = 'trust-statement.jws'

/** The pinned root and the trust statement. Public, so 0644; believed because the root was compared at join. */
export function trustFiles(folder: string): TrustFiles {
  const rootPath = join(folder, 'mesh-root.pem')
  const statementPath = join(folder, STATEMENT_FILE)
  const readRoot = async () => {
    const pem = await readIfThere(rootPath)
    return pem === undefined ? undefined : parse(() => decodeRoot(pem), 'mesh-root.pem')
  }
  const writeStatement = (jws: string) => writeFileAtomic(statementPath, `${jws}\n`, { mode: 0o644 })
  const readStatement: TrustFiles['readStatement'] = async (root) => {
    const jws = await readIfThere(statementPath)
    return jws === undefined ? undefined : parse(() => verifyTrustStatement(jws.trim(), root), STATEMENT_FILE)
  }
  return {
    readRoot,
    readStatement,
    async read() {
      const root = await readRoot()
      const statement = root && (await readStatement(root))
      return statement && { root, statement }
    },
    async write(root, jws) {
      await writeFileAtomic(rootPath, encodePem('CERTIFICATE', root.der), { mode: 0o644 })
      await writeStatement(jws)
    },
    writeStatement,
  }
}

function decodeRoot(pem: string): Certificate {
  const [der, ...others] = decodePem(pem, 'CERTIFICATE')
  if (der === undefined || others.length > 0) throw new Error('not exactly one certificate')
  return decodeCertificate(der)
}

function parse<T>(read: () => T, name: string): T {
  try {
    return read()
  } catch (cause) {
    const reason = errorCode(cause)
    throw new AgentError('trust_file_invalid', `${name} in the state folder cannot be used`, { cause, reason })
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readFileBounded(path, MAX_BYTES)).toString('utf8')
  } catch (error) {
    ignoreMissing(error)
    return undefined
  }
}

const MAX_BYTES = 131_072
