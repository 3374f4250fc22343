import type { JwsSigner } from '@vcc/mesh'
import { openStateSigner } from '../state/signer.ts'
import { issueIdentity, type TlsIdentity } from '../tls/identity.ts'
import type { Core } from './core.ts'

/** The control plane's own certificates, as they are now. The broker's is the broker's. */
export interface Identities {
  readonly control: () => TlsIdentity
  readonly signer: JwsSigner
  /** Issues new ones; who shows them has to be told. */
  readonly renew: () => Promise<void>
}

export async function issueIdentities(core: Core): Promise<Identities> {
  const state = await openStateSigner(core)
  let control = await issueIdentity('control', core)
  return {
    control: () => control,
    signer: state.signer,
    async renew() {
      await state.renew()
      control = await issueIdentity('control', core)
    },
  }
}
