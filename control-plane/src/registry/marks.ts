import type { Unit } from '../database/unit.ts'
import { agentMarks, fleetMark } from '../state/store.ts'
import type { StateMarks } from './view.ts'

/** What agents have to acknowledge, read in the unit of their rows. */
export function* marksOf(): Unit<StateMarks> {
  const documents = yield* agentMarks()
  return { fleet: yield* fleetMark(), documents: new Map(documents.map((mark) => [mark.instance_id, mark])) }
}
