import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeCertificate, decodePem, encodePem } from '@vcc/x509'
import { joinAgent } from '../../harness/agent.ts'
import { succeeded } from '../../harness/control.ts'
import { type Finished, run } from '../../harness/process.ts'
import { type Check, type Outcome, outcomeOf } from '../check.ts'
import type { Material } from '../material.ts'

/** CRLs and OCSP answers, fetched where the certificates say and read by others. */
export const STATUS: readonly Check[] = [
  {
    tool: 'openssl',
    check: 'verify -crl_check_all with the CRLs that the certificates name; with -use_deltas',
    async *run({ path }, { meshes }) {
      for (const mesh of meshes) {
        const { root, issuer, leaf, revoked, stale, lists } = await statusFilesOf(mesh)
        const check = (crls: readonly string[], file: string, ...more: string[]) =>
          run(path, [
            'verify',
            '-x509_strict',
            '-no-CApath',
            '-no-CAstore',
            '-CAfile',
            root,
            '-untrusted',
            issuer,
            '-crl_check_all',
            ...more,
            ...crls.flatMap((crl) => ['-CRLfile', crl]),
            file,
          ])
        const { full, delta } = lists
        yield outcomeOf(`${mesh.rootKey}, good`, await check(full, leaf), ': OK')
        yield outcomeOf(
          `${mesh.rootKey}, good with deltas`,
          await check([...full, ...delta], leaf, '-use_deltas'),
          ': OK',
        )
        yield saidOf(`${mesh.rootKey}, revoked`, await check(full, revoked), /certificate revoked/)
        yield outcomeOf(`${mesh.rootKey}, revoked since the complete CRL`, await check(full, stale), ': OK')
        const known = await check([...full, ...delta], stale, '-use_deltas')
        yield saidOf(`${mesh.rootKey}, revoked by a delta`, known, /certificate revoked/)
      }
    },
  },
  {
    tool: 'openssl',
    check: 'ocsp: good, revoked with its reason, unknown; with and without nonce',
    async *run({ path }, { meshes }) {
      for (const mesh of meshes) {
        const { root, issuer, leaf, revoked, ocsp } = await statusFilesOf(mesh)
        const ask = (...what: string[]) =>
          run(path, ['ocsp', '-issuer', issuer, ...what, '-url', ocsp, '-CAfile', root, '-verify_other', issuer])
        for (const nonce of [[], ['-no_nonce']]) {
          const name = `${mesh.rootKey}, ${nonce.length === 0 ? 'nonce' : 'no nonce'}`
          yield saidOf(`${name}, good`, await ask('-cert', leaf, ...nonce), /: good/, /verify OK/)
          const answer = await ask('-cert', revoked, ...nonce)
          yield saidOf(`${name}, revoked`, answer, /: revoked/, /Reason: superseded/, /verify OK/)
          yield saidOf(`${name}, unknown`, await ask('-serial', '0x1234', ...nonce), /: unknown/, /verify OK/)
        }
      }
    },
  },
  {
    tool: 'ocsptool',
    check: '--ask, and the answer verified under the CA',
    async *run({ path }, { meshes }) {
      for (const mesh of meshes) {
        const { issuer, leaf, revoked, ocsp } = await statusFilesOf(mesh)
        const ask = (file: string) =>
          run(path, [`--ask=${ocsp}`, '--load-cert', file, '--load-issuer', issuer, '--load-trust', issuer])
        const good = await ask(leaf)
        yield saidOf(`${mesh.rootKey}, good`, good, /Certificate Status: good/)
        yield saidOf(`${mesh.rootKey}, revoked`, await ask(revoked), /Certificate Status: revoked/)
      }
    },
  },
]

interface StatusFiles {
  readonly root: string
  readonly issuer: string
  readonly leaf: string
  /** Revoked before the complete CRL that is in `lists.full`. */
  readonly revoked: string
  /** Revoked after it: the delta in `lists.delta` says so. */
  readonly stale: string
  readonly lists: { readonly full: readonly string[]; readonly delta: readonly string[] }
  readonly ocsp: string
}

type Mesh = Material['meshes'][number]

const prepared = new WeakMap<Mesh, Promise<StatusFiles>>()

function statusFilesOf(mesh: Mesh): Promise<StatusFiles> {
  const known = prepared.get(mesh) ?? prepare(mesh)
  prepared.set(mesh, known)
  return known
}

/** Two more instances, revoked one after the other, and what a verifier fetches in between and after. */
async function prepare({ control, agent }: Mesh): Promise<StatusFiles> {
  const folder = join(agent.folder, 'status')
  await mkdir(folder, { recursive: true })
  const base = `http://127.0.0.1:${control.ports.public}`
  const [leaf = '', issuer = ''] = await chainIn(agent.stateFolder)
  const issuerId = idOf(issuer)
  const { items } = (await control.pkiJson('authorities', 'list')) as { items: { ca_id: string; name: string }[] }
  const rootId = items.find(({ name }) => name === 'mesh-root')?.ca_id ?? ''
  const fetched = async (name: string, path: string) => {
    const answer = await fetch(base + path)
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`)
    return written(name, await answer.text())
  }
  const written = async (name: string, text: string) => {
    await writeFile(join(folder, name), text)
    return join(folder, name)
  }
  const revokedOne = async (name: string) => {
    const other = await joinAgent(control, join(folder, name), { service: 'argus', targetPort: 1, outbound: [] })
    const [pem = ''] = await chainIn(other.stateFolder)
    const { serialHex } = decodeCertificate(decodePem(pem, 'CERTIFICATE')[0] ?? new Uint8Array())
    const flags = ['--reason', 'superseded', '--yes', '--wait', '0s', '--accept-unreached']
    succeeded(await control.pki('revoke', serialHex, ...flags))
    return written(`${name}.pem`, pem)
  }
  const revoked = await revokedOne('revoked')
  succeeded(await control.pki('crl', 'regenerate'))
  const full = [await fetched('ca.crl', `/crl/${issuerId}/0.pem`), await fetched('root.crl', `/crl/${rootId}/0.pem`)]
  const stale = await revokedOne('stale')
  succeeded(await control.pki('crl', 'regenerate', issuerId))
  return {
    root: await fetched('root.pem', `/ca/${rootId}.pem`),
    issuer: await written('issuer.pem', issuer),
    leaf: await written('leaf.pem', leaf),
    revoked,
    stale,
    lists: { full, delta: [await fetched('ca-delta.crl', `/crl/${issuerId}/0-delta.pem`)] },
    ocsp: `${base}/ocsp`,
  }
}

async function chainIn(stateFolder: string): Promise<string[]> {
  const chain = decodePem(await readFile(join(stateFolder, 'identity.pem'), 'utf8'), 'CERTIFICATE')
  return chain.map((der) => encodePem('CERTIFICATE', der))
}

function idOf(pem: string): string {
  const [der = new Uint8Array()] = decodePem(pem, 'CERTIFICATE')
  return decodeCertificate(der).publicKey.spkiSha256Hex.slice(0, 32)
}

/** Whatever it ends with, all of this is in what it says. */
function saidOf(of: string, { stdout, stderr }: Finished, ...wanted: readonly RegExp[]): Outcome {
  const text = `${stdout}\n${stderr}`
  const missing = wanted.filter((one) => !one.test(text))
  return missing.length === 0 ? { of } : { of, failed: `it does not say ${missing.join(', ')}\n${text.trim()}` }
}
