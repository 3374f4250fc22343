import type { PeerAddress } from '@vcc/mesh'

/**
 * The broker, as far as the control plane has power over it. Over an external one it has little: what matters is
 * signed, and holds whatever a broker does.
 */
export interface Broker extends AsyncDisposable {
  /** Where the control plane, a client like any other, finds it. */
  readonly address: PeerAddress
  /** Issues it a new certificate. */
  readonly renewCertificate: () => Promise<void>
  /** Looked at twice a minute: connections that are no longer good, files that are missing. */
  readonly tend: () => Promise<void>
  /** Ends a client's connection at once, where that is in our hands. */
  readonly disconnect: (clientId: string) => void
}
