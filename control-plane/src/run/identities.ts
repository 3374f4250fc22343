import type { JwsSigner } from '@vcc/mesh'
import { openStateSigner } from '../state/signer.ts'
import { issueIdentity, type TlsIdentity } from '../tls/identity.ts'
import type { Core } from './core.ts'

/** The control plane's own certificates, as they are now. */
export interface Identities {
  readonly control: () => TlsIdentity
  readonly broker: () => TlsIdentity
  readonly signer: JwsSigner
  /** Issues new ones; who shows them has to be told. */
  readonly renew: () => Promise<void>
}

export async function issueIdentities(core: Core): Promise<Identities> {
  const state = await openStateSigner(core)
  let control = await issueIdentity('control', core)
  let broker = await issueIdentity('broker', core)
  return {
    control: () => control,
    broker: () => broker,
    signer: state.signer,
    async renew() {
      await state.renew()
      const next = { control: await issueIdentity('control', core), broker: await issueIdentity('broker', core) }
      control = next.control
      broker = next.broker
    },
  }
}
