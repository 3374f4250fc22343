import { type Command, type Format, printResult, withFormat } from '@vcc/runtime'
import { connection } from './connection.ts'
import { facts, localTime } from './words.ts'

/** `status`: the mesh in a dozen lines. */
export function addStatus(root: Command): void {
  withFormat(root.command('status').description('The mesh in figures.')).action(
    async ({ format }: { format: Format }) => {
      await using api = await connection()
      printResult(format, 'MeshStatus', await api.call('meshStatus', {}), (one) =>
        facts({
          'trust domain': one.trust_domain,
          organisation: one.home_organization,
          policy: one.policy_version === null ? 'none: nobody may call anybody' : `version ${one.policy_version}`,
          'fleet state': one.fleet_generation,
          services: one.services,
          instances: `${one.instances}, ${one.connected} connected, ${one.in_force} with everything in force`,
          broker: one.broker,
          profile: one.profile,
          'control plane': `${one.version}, since ${localTime(one.started_at)}`,
        }),
      )
    },
  )
}
