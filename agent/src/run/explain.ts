import { decideDial, explain, PolicyError, resolveWorkload } from '@vcc/policy'
import { AgentError } from '../errors.ts'
import type { Identity } from '../identity/identity.ts'
import type { Snapshot } from '../proxy/snapshot.ts'

/** Of the calls of the own service, which are all that a slice of the matrix knows. */
export function explained(sourceText: string, targetText: string, identity: Identity, snapshot: Snapshot | undefined) {
  if (snapshot === undefined) throw new AgentError('admin_request_invalid', 'no signed state is held yet')
  const { trustDomain, organization, workload } = identity
  try {
    const source = resolveWorkload(sourceText, { trustDomain, organization })
    const target = resolveWorkload(targetText, { trustDomain, organization })
    if (source !== workload && target !== workload) {
      throw new AgentError('admin_request_invalid', `this agent knows the calls of ${identity.service} only`, {
        hint: 'ask the control plane: vcc-pki check SOURCE TARGET',
      })
    }
    const decision = decideDial(snapshot.policy, { source, target })
    return {
      allowed: decision.allowed,
      rule: decision.rule,
      code: decision.allowed ? null : decision.code,
      explanation: explain(snapshot.policy, source, target),
    }
  } catch (cause) {
    if (cause instanceof PolicyError) throw new AgentError('admin_request_invalid', cause.message, { cause })
    throw cause
  }
}
