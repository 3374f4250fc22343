import { spawn } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestCredential, TestPki } from '@vcc/testkit'
import { encodePem } from '@vcc/x509'

/** `openssl s_client` and `curl`, as peers nobody of us wrote. */
export const openssl = {
  /** Writes a credential where command lines can name it. */
  async files(credential: TestCredential, pki: TestPki) {
    const folder = await mkdtemp(join(tmpdir(), 'vcc-proxy-'))
    const [key, cert, chain, ca] = ['key.pem', 'cert.pem', 'chain.pem', 'ca.pem'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
      string,
    ]
    await writeFile(key, credential.keyPem, { mode: 0o600 })
    await writeFile(cert, credential.chainPem)
    await writeFile(
      chain,
      credential.chainDer
        .slice(1)
        .map((der) => encodePem('CERTIFICATE', der))
        .join(''),
    )
    await writeFile(ca, pki.rootPem)
    return { key, cert, ca, args: ['-key', key, '-cert', cert, '-cert_chain', chain, '-CAfile', ca] }
  },

  /** Runs s_client until the server closes or it has nothing more to say; returns all it printed. */
  client: (args: readonly string[], input = '') => run('openssl', ['s_client', ...args], input),
}

export const curl = (args: readonly string[]): Promise<string> => run('curl', ['-sS', '--max-time', '15', ...args], '')

function run(command: string, args: readonly string[], input: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const timer = setTimeout(() => child.kill(), 20_000)
  child.once('error', reject)
  child.once('close', () => {
    clearTimeout(timer)
    resolve(output)
  })
  return promise
}
