import { MeshError } from './errors.ts'
import { instantOf } from './instant.ts'

/**
 * Remembers the nonces of envelopes until they expire. Each sender has a share of its own, so that none can push
 * another's nonces out: a nonce that may still be repeated is never forgotten, a full share refuses instead.
 * Lives in memory; what was seen before a restart may be repeated once, within the life of an envelope.
 */
export class ReplayWindow {
  readonly #seen = new Map<string, Map<string, number>>()
  readonly #perSender: number
  readonly #senders: number

  constructor(options: { readonly perSender?: number; readonly senders?: number } = {}) {
    this.#perSender = options.perSender ?? 512
    this.#senders = options.senders ?? 20_000
  }

  /** @throws {MeshError} `envelope_replayed`, `envelope_window_full` */
  admit(envelope: { readonly instance: string; readonly nonce: string; readonly expiresAt: string }, now: Date): void {
    const nonces = this.#shareOf(envelope.instance, now)
    if (nonces.has(envelope.nonce))
      throw new MeshError('envelope_replayed', 'an envelope with this nonce was taken before')
    if (nonces.size >= this.#perSender) {
      throw new MeshError('envelope_window_full', `${envelope.instance} has ${this.#perSender} unexpired envelopes`)
    }
    nonces.set(envelope.nonce, instantOf(envelope.expiresAt).getTime())
    this.#seen.set(envelope.instance, nonces)
  }

  get size(): number {
    return [...this.#seen.values()].reduce((sum, nonces) => sum + nonces.size, 0)
  }

  #shareOf(instance: string, now: Date): Map<string, number> {
    const share = this.#seen.get(instance)
    if (share !== undefined) return forgetExpired(share, now)
    if (this.#seen.size >= this.#senders) {
      for (const [sender, nonces] of this.#seen) if (forgetExpired(nonces, now).size === 0) this.#seen.delete(sender)
      if (this.#seen.size >= this.#senders) throw new MeshError('envelope_window_full', 'too many senders at once')
    }
    return new Map()
  }
}

/** `expiresAt` is the last second in which an envelope is taken, so its nonce is kept through that second. */
function forgetExpired(nonces: Map<string, number>, now: Date): Map<string, number> {
  for (const [nonce, expiresMs] of nonces) if (expiresMs + 1000 <= now.getTime()) nonces.delete(nonce)
  return nonces
}
