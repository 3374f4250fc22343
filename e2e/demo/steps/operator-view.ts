import { type ControlPlane, succeeded } from '../../harness/control.ts'
import type { Mesh } from '../../harness/mesh.ts'
import { expect, quote, seen } from '../report.ts'

/** The commands an operator types first, and the proof of the audit chain. */
export async function operatorView(mesh: Mesh): Promise<void> {
  const argus = mesh.agent('argus')
  quote('vcc-agent status', succeeded(await argus.cli('status')).stdout)
  seen('vcc-agent status says it in words, and exits 0: healthy')
  const allowed = await argus.cli('explain', 'argus', 'covina')
  const denied = await argus.cli('explain', 'argus', 'veritas')
  quote('vcc-agent explain argus covina', allowed.stdout)
  quote('vcc-agent explain argus veritas', denied.stdout)
  expect(allowed.code === 0 && denied.code === 3, 'explain answers yes by 0 and no by 3', [allowed.code, denied.code])
  seen('vcc-agent explain names the rule of either answer')
  quote('vcc-pki instances list', succeeded(await mesh.control.pki('instances', 'list')).stdout)
  await keysView(mesh.control)
  const verdict = await mesh.control.control('audit', 'verify')
  quote('vcc-control audit verify', succeeded(verdict).stdout)
  seen('the audit chain is proved from its first row to its last')
}

/** Where the keys are; of those in a token, what somebody else's tool says. */
async function keysView(control: ControlPlane): Promise<void> {
  quote('vcc-pki keys list', succeeded(await control.pki('keys', 'list')).stdout)
  const { items } = (await control.pkiJson('keys', 'list')) as { items: { held: string; key_id: string }[] }
  const wanted = control.token === undefined ? 'software' : 'hsm'
  expect(items.length > 0 && items.every(({ held }) => held === wanted), `every key is held in ${wanted}`, items)
  if (control.token === undefined)
    return seen('vcc-pki keys list says what each key is for, where it is, and what uses it')
  quote('vcc-pki keys status', succeeded(await control.pki('keys', 'status')).stdout)
  const all = await control.token.privateKeys()
  const access = [...new Set(all.map(({ Access }) => Access))]
  quote('pkcs11-tool --list-objects --type privkey', `${all.length} private keys, each: ${access.join(' or ')}`)
  expect(access.join() === 'sensitive, always sensitive, never extractable, local', 'pkcs11-tool says so, too', access)
  seen('every key of roots, CAs and signers of state is in the token, and cannot leave it')
}
