import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const MODULE = '/usr/lib/softhsm/libsofthsm2.so'

/** Whether Debian's softhsm2 is there; `make test` installs it. */
export const hasSoftHsm: boolean = existsSync(MODULE)

/** One token of SoftHSM in a folder of its own. */
export interface SoftHsmToken {
  readonly module: string
  readonly label: string
  readonly pinFile: string
  /** For every process that is to see it. */
  readonly environment: { readonly SOFTHSM2_CONF: string }
  /** `keys` of `vcc-control.yml`: roots, issuing CAs and signers of state live in it. */
  readonly config: readonly string[]
  /** Somebody else's tool on it, logged in. Answers what it prints. */
  readonly pkcs11Tool: (...args: string[]) => Promise<string>
  /** Its private keys as pkcs11-tool sees them: `ID`, `label`, `Usage` and `Access` in its words. */
  readonly privateKeys: () => Promise<readonly Readonly<Record<string, string>>[]>
  /** Nothing of it is left in its slot. */
  readonly takeOut: () => Promise<void>
  readonly putBack: () => Promise<void>
}

const run = promisify(execFile)

export async function softHsmToken(folder: string, label = 'vcc'): Promise<SoftHsmToken> {
  const tokens = join(folder, 'tokens')
  await mkdir(tokens, { recursive: true, mode: 0o700 })
  const conf = join(folder, 'softhsm2.conf')
  await writeFile(conf, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`)
  const pinFile = join(folder, 'hsm.pin')
  await writeFile(pinFile, `${PIN}\n`, { mode: 0o600 })
  const environment = { SOFTHSM2_CONF: conf }
  const env = { PATH: '/usr/bin:/bin', ...environment }
  await run('softhsm2-util', ['--init-token', '--free', '--label', label, '--pin', PIN, '--so-pin', SO_PIN], { env })
  const asUser = ['--module', MODULE, '--token-label', label, '--login', '--pin', PIN]
  const pkcs11Tool = async (...args: readonly string[]) =>
    (await run('pkcs11-tool', [...asUser, ...args], { env })).stdout
  return {
    module: MODULE,
    label,
    pinFile,
    environment,
    config: [
      'keys:',
      '  store: { root: hsm, issuing: hsm, state: hsm }',
      '  hsm:',
      `    module: ${MODULE}`,
      `    token: ${label}`,
      `    pin_file: ${pinFile}`,
      `    environment: { SOFTHSM2_CONF: ${conf} }`,
    ],
    pkcs11Tool,
    privateKeys: async () => objectsIn(await pkcs11Tool('--list-objects', '--type', 'privkey')),
    // Its folder is the token; SoftHSM wants the one around it.
    takeOut: () => swap(tokens, `${tokens}-away`, `${tokens}-empty`),
    putBack: () => swap(tokens, `${tokens}-empty`, `${tokens}-away`),
  }
}

/** Objects begin at the margin; what is said of each is indented, as `name: value`. */
function objectsIn(text: string): readonly Readonly<Record<string, string>>[] {
  return text
    .split(/\n(?=\S)/)
    .filter((one) => one.trim() !== '')
    .map((one) =>
      Object.fromEntries([...one.matchAll(/^ +(\S[^:\n]*): +(.*)$/gm)].map(([, name, value]) => [name, value])),
    )
}

/** `place` becomes `aside`, and `next`, which is made where it is not there, becomes `place`. */
async function swap(place: string, aside: string, next: string): Promise<void> {
  await mkdir(next, { recursive: true })
  await rename(place, aside)
  await rename(next, place)
}

const PIN = '482913'
const SO_PIN = '70551839'
