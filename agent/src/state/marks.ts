import { createHash } from 'node:crypto'
import { canonicalJson, type Held, instantOf, isInstant, isoSeconds, MeshError, raisedFloor } from '@vcc/mesh'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'

/** Where a document stands in the order of its kind. */
export interface Place {
  readonly epoch: number
  readonly generation: number
}

/**
 * The highest that was ever kept of everything signed. It never falls: a file that was put back from earlier, however
 * well signed, is told from the one that was there.
 */
export interface Marks {
  /** The highest signed `issuedAt`: the clock is never believed to stand before it. */
  readonly floor: Date | undefined
  readonly fleet: Place | undefined
  readonly agent: Place | undefined
  /** Version of the trust statement; 0 before the first. */
  readonly trust: number
}

export const NO_MARKS: Marks = { floor: undefined, fleet: undefined, agent: undefined, trust: 0 }

export function raisedMarks(marks: Marks, held: Held): Marks {
  const before = marks[held.kind]
  const place = before === undefined || isBelow(before, held) ? placeOf(held) : before
  const trust = held.kind === 'fleet' ? Math.max(marks.trust, held.trust.version) : marks.trust
  return { ...marks, [held.kind]: place, trust, floor: raisedFloor(marks.floor, held.issuedAt) }
}

/** @throws {MeshError} `state_stale` for what is older than something that was held once */
export function assertNotBelow(marks: Marks, held: Held): void {
  const mark = marks[held.kind]
  if (mark === undefined || !isBelow(held, mark)) return
  throw new MeshError(
    'state_stale',
    `${held.kind} ${held.epoch}.${held.generation} is older than ${mark.epoch}.${mark.generation}, which was held`,
  )
}

/** One line under a SHA-256, which finds damage. */
export function encodeMarks({ floor, fleet, agent, trust }: Marks): string {
  const marks = {
    floor: floor === undefined ? null : isoSeconds(floor),
    fleet: fleet ?? null,
    agent: agent ?? null,
    trust,
  }
  return `${canonicalJson({ format: 1, marks, sha256: digestOf(marks) })}\n`
}

/** @throws {MeshError} `held_malformed` for anything but what `encodeMarks` wrote */
export function decodeMarks(text: string): Marks {
  const file = parsed(text)
  if (!isMarksFile(file) || file.sha256 !== digestOf(file.marks)) throw malformed()
  const { floor, fleet, agent, trust } = file.marks
  if (floor !== null && !isInstant(floor)) throw malformed()
  return {
    floor: floor === null ? undefined : instantOf(floor),
    fleet: fleet ?? undefined,
    agent: agent ?? undefined,
    trust,
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw malformed(cause)
  }
}

function malformed(cause?: unknown): MeshError {
  return new MeshError('held_malformed', 'the stored marks are truncated or damaged', { cause })
}

function digestOf(marks: unknown): string {
  return createHash('sha256').update(canonicalJson(marks), 'utf8').digest('hex')
}

function placeOf({ epoch, generation }: Place): Place {
  return { epoch, generation }
}

/** The epoch decides first. */
function isBelow(a: Place, b: Place): boolean {
  return a.epoch === b.epoch ? a.generation < b.generation : a.epoch < b.epoch
}

const CLOSED = { additionalProperties: false }
const Ordinal = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const PlaceOrNull = Type.Union([Type.Object({ epoch: Ordinal, generation: Ordinal }, CLOSED), Type.Null()])
const MarksFile = Type.Object(
  {
    format: Type.Literal(1),
    marks: Type.Object(
      { floor: Type.Union([Type.String(), Type.Null()]), fleet: PlaceOrNull, agent: PlaceOrNull, trust: Ordinal },
      CLOSED,
    ),
    sha256: Type.String(),
  },
  CLOSED,
)
const compiled = Compile(MarksFile)

function isMarksFile(value: unknown): value is Static<typeof MarksFile> {
  return compiled.Check(value)
}
