import { basename, join } from 'node:path'
import {
  type AgentAcceptance,
  decodeHeldAgent,
  decodeHeldFleet,
  encodeHeld,
  type Held,
  type HeldAgent,
  type HeldFleet,
  MeshError,
  type Stored,
  type TrustStatement,
  trustOfStoredFleet,
} from '@vcc/mesh'
import { RuntimeError, readFileBounded, writeFileAtomic } from '@vcc/runtime'
import type { Certificate } from '@vcc/x509'
import { ignoreMissing } from '../identity/identity-file.ts'
import { assertNotBelow, decodeMarks, encodeMarks, type Marks, NO_MARKS } from './marks.ts'

/** A file that was there and is not to be used, with the code of the reason. It is fetched anew. */
export interface RefusedFile {
  readonly file: string
  readonly code: string
}

export interface LoadedState {
  readonly fleet: HeldFleet | undefined
  readonly agent: HeldAgent | undefined
  readonly marks: Marks
  readonly refused: readonly RefusedFile[]
}

export interface StateFiles {
  /**
   * The highest that was kept; known before anything can be verified. A file that cannot be read is as good as lost:
   * the documents beside it are marks, too.
   */
  readonly marks: () => Promise<{ readonly marks: Marks; readonly refused: readonly RefusedFile[] }>
  /** The trust statement inside the stored fleet document, which the root itself signed. */
  readonly statement: (root: Certificate) => Promise<TrustStatement | undefined>
  /**
   * Reads and verifies everything as if it came from the network, and refuses what is older than the marks. Never
   * throws for what a file holds or is.
   */
  readonly load: (by: Stored<AgentAcceptance>) => Promise<LoadedState>
  /** Durable when it resolves. */
  readonly save: (held: Held) => Promise<void>
  readonly saveMarks: (marks: Marks) => Promise<void>
}

const MAX_BYTES = 16 * 1024 * 1024

/** The last good signed state, and the highest of it that was ever kept, in the state folder. */
export function stateFiles(folder: string): StateFiles {
  const paths = {
    fleet: join(folder, 'fleet.json'),
    agent: join(folder, 'agent.json'),
    marks: join(folder, 'marks.json'),
  }
  const readMarks: StateFiles['marks'] = async () => {
    const refused: RefusedFile[] = []
    const marks = await attempt(paths.marks, decodeMarks, refused)
    return { marks: marks ?? NO_MARKS, refused }
  }
  return {
    marks: readMarks,
    statement: (root) => attempt(paths.fleet, (text) => trustOfStoredFleet(text, root), []),
    async load(by) {
      const { marks, refused: refusedMarks } = await readMarks()
      const refused = [...refusedMarks]
      const current = <H extends Held>(held: H): H => {
        assertNotBelow(marks, held)
        return held
      }
      const fleet = await attempt(paths.fleet, (text) => current(decodeHeldFleet(text, by)), refused)
      const trust = fleet?.trust ?? by.trust
      const agent = await attempt(paths.agent, (text) => current(decodeHeldAgent(text, { ...by, trust })), refused)
      return { fleet, agent, marks, refused }
    },
    save: (held) => writeFileAtomic(paths[held.kind], encodeHeld(held)),
    saveMarks: (marks) => writeFileAtomic(paths.marks, encodeMarks(marks)),
  }
}

async function attempt<T>(path: string, read: (text: string) => T, refused: RefusedFile[]): Promise<T | undefined> {
  try {
    const text = await readIfThere(path)
    return text === undefined ? undefined : read(text)
  } catch (error) {
    if (!(error instanceof MeshError || error instanceof RuntimeError)) throw error
    refused.push({ file: basename(path), code: error.code })
    return undefined
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readFileBounded(path, MAX_BYTES)).toString('utf8')
  } catch (error) {
    ignoreMissing(error)
    return undefined
  }
}
