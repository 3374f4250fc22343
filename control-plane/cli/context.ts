import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { CLOSED, CliError, ensureFolder, environment, errorCode, readFileBounded, writeFileAtomic } from '@vcc/runtime'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'

const Shape = Type.Object(
  {
    apiUrl: Type.String({ pattern: '^https://' }),
    trustDomain: Type.String(),
    oidArc: Type.String(),
    rootPem: Type.String(),
    fingerprint: Type.String(),
    clientCertFile: Type.String(),
  },
  CLOSED,
)

/** Which control plane, pinned by its root, and with which certificate. Holds no secret; the file is 0600 all the same. */
export type Context = Static<typeof Shape>

/** `$VCC_PKI_CONFIG`, or `~/.config/vcc/pki.json`. */
export function contextFile(): string {
  return environment()['VCC_PKI_CONFIG'] ?? join(homedir(), '.config', 'vcc', 'pki.json')
}

/** @throws {CliError} `not_configured`, `context_invalid` */
export async function readContext(): Promise<Context> {
  const file = contextFile()
  const text = await readFileBounded(file, 262_144).catch((cause: unknown) => {
    if (errorCode(cause) !== 'file_missing') throw cause
    throw new CliError('usage', 'not_configured', `there is no ${file}`, {
      cause,
      hint: 'vcc-pki configure --api-url URL --client-cert FILE --fingerprint sha256:…',
    })
  })
  try {
    const value: unknown = JSON.parse(text.toString('utf8'))
    if (parse.Check(value)) return value
  } catch {
    // falls through: not JSON is as invalid as another shape
  }
  throw new CliError('usage', 'context_invalid', `${file} is not a context of vcc-pki`, {
    hint: 'vcc-pki configure writes a new one',
  })
}

export async function writeContext(context: Context): Promise<string> {
  const file = contextFile()
  await ensureFolder(dirname(file))
  await writeFileAtomic(file, `${JSON.stringify(context, null, 2)}\n`, { mode: 0o600 })
  return file
}

const parse = Compile(Shape)
