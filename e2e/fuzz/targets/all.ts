import type { Target } from '../target.ts'
import { POLICY_TARGETS } from './policy.ts'
import { STATE_TARGETS } from './state.ts'
import { X509_TARGETS } from './x509.ts'

/** Every reader that needs no other process, each in a thread of its own. */
export const THREAD_TARGETS: readonly Target[] = [...X509_TARGETS, ...POLICY_TARGETS, ...STATE_TARGETS]
