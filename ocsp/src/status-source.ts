import type { Certificate, OcspRevoked } from '@vcc/x509'

/** A CA whose certificates are asked about. */
export interface ServedIssuer {
  /** `ca_id`: names the key, in the source and among the responder keys. */
  readonly id: string
  /** CertIDs are made of its subject and its key. A CA with several certificates is listed with each of them. */
  readonly certificate: Certificate
}

/** What is on record about one certificate. */
export type CertificateStatus =
  | { readonly status: 'good' }
  | OcspRevoked
  /** `open_intent`: a signature is under way, so nothing about it may be remembered by anybody. */
  | { readonly status: 'unknown'; readonly why: 'never_issued' | 'open_intent' }

/** How the source stands at this moment. */
export interface Standing {
  /**
   * Another number as soon as a status that was given out may be wrong: with every revocation, and before anybody is told
   * of it. A new certificate changes nothing, since `unknown` is never kept.
   */
  readonly generation: number
  /**
   * The watermark in seconds of Unix time: no status is older. The present for a database; for a replica, the instant of the
   * last item it has, **never** now. It becomes thisUpdate.
   */
  readonly asOfSeconds: number
  /** The last second in which the source may be used. */
  readonly validUntilSeconds: number
}

/**
 * Where statuses come from: the control plane's database, or a replica that lives on a feed. `issuers` and `standing` are asked
 * for every request, so they only look at what is there.
 */
export interface StatusSource {
  /** The same array until something about it changes. */
  readonly issuers: () => readonly ServedIssuer[]
  readonly standing: () => Standing
  /**
   * Says `good` only of what was issued. Settles soon after `signal` aborts.
   *
   * @param serialHex As `Certificate.serialHex`: anything a stranger made up.
   */
  readonly status: (
    issuerId: string,
    serialHex: string,
    signal: AbortSignal,
  ) => CertificateStatus | Promise<CertificateStatus>
}
