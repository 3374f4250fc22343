import type { Mesh } from '../../harness/mesh.ts'
import { startLoad } from '../load.ts'
import { expect, say, seen } from '../report.ts'

const ROTATIONS = 3

/** All five agents change key and certificate several times while calls go on without a pause. */
export async function rotation(mesh: Mesh): Promise<void> {
  const load = startLoad([
    `${mesh.agent('argus').url('covina')}/load`,
    `${mesh.agent('covina').url('clara')}/load`,
    `${mesh.agent('vpb').url('argus')}/load`,
  ])
  const serials = new Set<string>()
  try {
    for (let round = 1; round <= ROTATIONS; round++) {
      const answer = await mesh.control.pkiJson('instances', 'rotate', '--all', '--wait', '60s')
      expect(answer['renewed'] === 5 && answer['of'] === 5, 'all five agents serve a new certificate', answer)
      const { items } = (await mesh.control.pkiJson('instances', 'list')) as { items: { served_serial: string }[] }
      for (const { served_serial } of items) serials.add(served_serial)
      say(`rotation ${round}: 5 of 5 agents shook hands with their own listener and serve a new certificate`)
    }
  } finally {
    await load.stop()
  }
  expect(serials.size === 5 * ROTATIONS, 'every rotation gave every agent another serial', [...serials])
  expect(load.failures().length === 0, 'no request failed', load.failures().slice(0, 5))
  seen(
    `${load.requests()} requests during ${ROTATIONS} rotations of 5 agents, ${load.failures().length} failed; ${serials.size} serials served`,
  )
}
