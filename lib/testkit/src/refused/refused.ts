import type { X509Failure } from '@vcc/x509'
import { REFUSED_BYTES } from './bytes.ts'
import { ACCEPTED_CHAINS, REFUSED_CHAINS } from './chains.ts'
import { ACCEPTED_CRLS, REFUSED_CRLS } from './crls.ts'
import { REFUSED_KEYS } from './keys.ts'
import { ACCEPTED_PATHS, REFUSED_PATHS } from './paths.ts'
import { ACCEPTED_REQUESTS, REFUSED_REQUESTS } from './requests.ts'

/** For every other failure code something that ends with it: certificates, keys, CRLs and paths made here. */
export const REFUSED = {
  bytes: REFUSED_BYTES,
  keys: REFUSED_KEYS,
  requests: REFUSED_REQUESTS,
  chains: REFUSED_CHAINS,
  paths: REFUSED_PATHS,
  crls: REFUSED_CRLS,
} as const satisfies Record<string, Readonly<Partial<Record<X509Failure, () => unknown>>>>

/** What the refused ones would be without their fault, by what it is. */
export const ACCEPTED: Readonly<Record<string, () => unknown>> = {
  ...ACCEPTED_REQUESTS,
  ...ACCEPTED_CHAINS,
  ...ACCEPTED_PATHS,
  ...ACCEPTED_CRLS,
}
