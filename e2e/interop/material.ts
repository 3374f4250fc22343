import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { get } from 'node:https'
import { join } from 'node:path'
import { connect } from 'node:tls'
import {
  classOid,
  DEFAULT_OID_ARC,
  decodeCertificate,
  decodePem,
  encodePem,
  PROFILES,
  type ProfileName,
} from '@vcc/x509'
import { joinAgent, type MeshAgent } from '../harness/agent.ts'
import { type ControlPlane, startControlPlane, succeeded } from '../harness/control.ts'
import { openIssuers } from '../harness/issuers.ts'
import { mosquitto } from '../harness/mosquitto.ts'
import { MATRIX_FILE } from '../harness/paths.ts'
import { run } from '../harness/process.ts'
import { findTool } from './tool.ts'

/** One certificate that the product made, with the files that other programs read. */
export interface Subject {
  /** `P-384 service`: the kind of root key, and the profile. */
  readonly name: string
  readonly profile: ProfileName
  /** Leaf first, the root last. */
  readonly chain: readonly Uint8Array[]
  readonly certFile: string
  readonly derFile: string
  /** Certificate first, the root last. */
  readonly chainFile: string
  /** What stands between certificate and root; may be empty. */
  readonly intermediatesFile: string
  readonly rootFile: string
}

export interface Material {
  readonly folder: string
  readonly subjects: readonly Subject[]
  readonly meshes: readonly { readonly rootKey: RootKey; readonly control: ControlPlane; readonly agent: MeshAgent }[]
}

export type RootKey = 'P-384' | 'RSA-4096'

/**
 * A certificate of every profile under each kind of root key, from real installations; they run until the stack ends.
 * Their broker is Mosquitto where it is installed.
 */
export async function makeMaterial(folder: string, stack: AsyncDisposableStack): Promise<Material> {
  const subjects: Subject[] = []
  const meshes: Material['meshes'][number][] = []
  const hasMosquitto = !('missing' in (await findTool('mosquitto')))
  for (const rootKey of ['P-384', 'RSA-4096'] as const) {
    const own = join(folder, rootKey)
    const broker = hasMosquitto ? mosquitto() : 'embedded'
    const control = stack.use(await startControlPlane(join(own, 'control'), { rootKey, broker }))
    succeeded(await control.pki('services', 'register', 'argus'))
    succeeded(await control.pki('policy', 'apply', MATRIX_FILE, '--yes'))
    const agent = await joinAgent(control, join(own, 'argus'), { service: 'argus', targetPort: 1, outbound: [] })
    meshes.push({ rootKey, control, agent })
    const chains = await chainsOf(control, agent)
    for (const profile of Object.keys(PROFILES) as ProfileName[]) {
      subjects.push(await writeSubject(join(own, 'certificates'), rootKey, profile, chains[profile]))
    }
  }
  return { folder, subjects, meshes }
}

type Chains = Readonly<Record<ProfileName, readonly Uint8Array[]>>

async function chainsOf(control: ControlPlane, agent: MeshAgent): Promise<Chains> {
  const { items } = (await control.pkiJson('authorities', 'list')) as { items: { ca_id: string; name: string }[] }
  const ca = async (name: ProfileName) => {
    const found = items.find((one) => one.name === name)
    if (found === undefined) throw new Error(`there is no CA ${name}`)
    const { chain_pem: pem } = (await control.pkiJson('authorities', 'chain', found.ca_id)) as { chain_pem: string }
    return decodePem(pem, 'CERTIFICATE')
  }
  const meshRoot = await ca('mesh-root')
  const controlCa = await ca('control-ca')
  const { root } = await openIssuers(control)
  // There is no command for a partner's CA yet; the installation's own root signs one.
  const partner = { permittedDns: ['partner.example'], permittedUriHosts: ['partner.example'] }
  const classes = [classOid(DEFAULT_OID_ARC, 1)]
  const externalCa = await root.authority('external-ca', 'VCC External CA', classes, partner)
  const identityFile = join(agent.stateFolder, 'identity.pem')
  const certificatesIn = async (file: string) => decodePem(await readFile(file, 'utf8'), 'CERTIFICATE')
  return {
    'mesh-root': meshRoot,
    'artifact-root': await ca('artifact-root'),
    'evidence-root': await ca('evidence-root'),
    'services-ca': await ca('services-ca'),
    'external-ca': [externalCa.certDer, ...meshRoot],
    'admin-ca': await ca('admin-ca'),
    'control-ca': controlCa,
    'code-signing-ca': await ca('code-signing-ca'),
    'tsa-ca': await ca('tsa-ca'),
    service: [...(await certificatesIn(identityFile)), ...meshRoot],
    admin: [...(await certificatesIn(control.adminFile)), ...meshRoot],
    'control-api': [await shownAt(control.ports.agents), ...controlCa],
    broker: [await shownAt(control.ports.broker), ...controlCa],
    'state-signer': [...(await stateSignerOf(control, identityFile)), ...meshRoot],
    'ocsp-responder': [await responderOf(control, identityFile), ...(await ca('services-ca'))],
  }
}

/** The certificate a listener shows. Who it is, is what the other programs are asked. */
async function shownAt(port: number): Promise<Uint8Array> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  socket.setTimeout(30_000, () => socket.destroy(new Error(`port ${port} does not shake hands within 30 s`)))
  try {
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    const shown = socket.getPeerX509Certificate()
    if (shown === undefined) throw new Error(`port ${port} shows no certificate`)
    return new Uint8Array(shown.raw)
  } finally {
    socket.on('error', () => {}) // the other side ends it for want of our certificate
    socket.destroy()
  }
}

/** The certificate that goes along with an OCSP answer about the agent's own, as openssl shows it. */
async function responderOf(control: ControlPlane, identityFile: string): Promise<Uint8Array> {
  const [leaf = '', issuer = ''] = (await readFile(identityFile, 'utf8')).match(PEM_CERTIFICATE) ?? []
  const files = { leaf: `${identityFile}.leaf`, issuer: `${identityFile}.issuer` }
  await writeFile(files.leaf, leaf)
  await writeFile(files.issuer, issuer)
  const url = `http://127.0.0.1:${control.ports.public}/ocsp`
  const asked = ['ocsp', '-issuer', files.issuer, '-cert', files.leaf, '-url', url, '-noverify', '-resp_text']
  const { stdout, stderr } = await run('openssl', asked)
  const [pem] = stdout.match(PEM_CERTIFICATE) ?? []
  const [der] = pem === undefined ? [] : decodePem(pem, 'CERTIFICATE')
  if (der === undefined) throw new Error(`no certificate goes along with the answer: ${stderr}`)
  return der
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g

/** The certificates with which the state is signed that an agent gets. */
async function stateSignerOf(control: ControlPlane, identityFile: string): Promise<readonly Uint8Array[]> {
  const pem = await readFile(identityFile)
  const text = await new Promise<string>((resolve, reject) => {
    const url = `https://127.0.0.1:${control.ports.agents}/api/v1/mesh/state`
    const request = get(url, { key: pem, cert: pem, rejectUnauthorized: false, timeout: 30_000 }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (part: string) => (body += part))
      response.on('end', () => resolve(body)).on('error', reject)
    })
    request.on('error', reject).on('timeout', () => request.destroy(new Error('no state within 30 s')))
  })
  const { fleet } = JSON.parse(text) as { fleet: { document: string } }
  const [header = ''] = fleet.document.split('.', 1)
  const { x5c } = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as { x5c: string[] }
  return x5c.map((one) => new Uint8Array(Buffer.from(one, 'base64')))
}

async function writeSubject(
  folder: string,
  rootKey: RootKey,
  profile: ProfileName,
  chain: readonly Uint8Array[],
): Promise<Subject> {
  await mkdir(folder, { recursive: true })
  const [own, root] = [chain[0], chain.at(-1)]
  if (own === undefined || root === undefined) throw new Error(`there is no ${profile}`)
  const file = (what: string) => join(folder, `${profile}.${what}`)
  const write = async (what: string, certificates: readonly Uint8Array[]) => {
    await writeFile(file(what), certificates.map((der) => encodePem('CERTIFICATE', der)).join(''))
    return file(what)
  }
  await writeFile(file('der'), own)
  return {
    name: `${rootKey} ${profile}`,
    profile,
    chain,
    derFile: file('der'),
    certFile: await write('pem', [own]),
    chainFile: await write('chain.pem', chain),
    intermediatesFile: await write('intermediates.pem', chain.slice(1, -1)),
    rootFile: await write('root.pem', [root]),
  }
}

/** The CN of an agent's certificate: its MQTT client id. */
export async function instanceOf(agent: MeshAgent): Promise<string> {
  const pem = await readFile(join(agent.stateFolder, 'identity.pem'), 'utf8')
  const [der] = decodePem(pem, 'CERTIFICATE')
  if (der === undefined) throw new Error('the agent has no certificate')
  return decodeCertificate(der).subject.attributes[0]?.value ?? ''
}
