import { MAX_UPSTREAMS } from '@vcc/mesh'
import type { CompiledPolicy } from '@vcc/policy'
import { DomainError } from '../errors.ts'

/**
 * That every service may call no more others than its agents' state can name, whether they are registered by now or not.
 *
 * @throws {DomainError} `too_many_targets`, naming the service.
 */
export function assertReach({ edges }: Pick<CompiledPolicy, 'edges'>): void {
  for (const [source, targets] of Map.groupBy(edges, (edge) => edge.source)) {
    if (targets.length <= MAX_UPSTREAMS) continue
    throw new DomainError(
      'too_many_targets',
      `${source} might call ${targets.length} services; its agents take ${MAX_UPSTREAMS}`,
      { hint: 'name what it calls in allowed_outbound, without *' },
    )
  }
}
