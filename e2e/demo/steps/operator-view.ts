import { succeeded } from '../../harness/control.ts'
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
  const verdict = await mesh.control.control('audit', 'verify')
  quote('vcc-control audit verify', succeeded(verdict).stdout)
  seen('the audit chain is proved from its first row to its last')
}
