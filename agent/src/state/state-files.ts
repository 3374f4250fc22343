import { basename, join } from 'node:path'
import {
  type AgentAcceptance,
  decodeHeldAgent,
  decodeHeldFleet,
  encodeHeld,
  type Held,
  type HeldAgent,
  type HeldFleet,
  instantOf,
  isInstant,
  isoSeconds,
  MeshError,
  type Stored,
} from '@vcc/mesh'
import { RuntimeError, readFileBounded, writeFileAtomic } from '@vcc/runtime'
import { ignoreMissing } from '../identity/identity-file.ts'

export interface LoadedState {
  readonly fleet: HeldFleet | undefined
  readonly agent: HeldAgent | undefined
  /** The highest signed `issuedAt` ever seen. */
  readonly floor: Date | undefined
  /** Files that were there and are not to be used, with the code of the reason. They are fetched anew. */
  readonly refused: readonly { readonly file: string; readonly code: string }[]
}

export interface StateFiles {
  /** The highest signed `issuedAt` that was kept; known before anything can be verified. */
  readonly floor: () => Promise<Date | undefined>
  /** Reads and verifies everything as if it came from the network. Never throws for what a file holds or is. */
  readonly load: (by: Stored<AgentAcceptance>) => Promise<LoadedState>
  /** Durable when it resolves. */
  readonly save: (held: Held) => Promise<void>
  readonly saveFloor: (floor: Date) => Promise<void>
}

const MAX_BYTES = 16 * 1024 * 1024

/** The last good signed state, and the clock floor, in the state folder. */
export function stateFiles(folder: string): StateFiles {
  const paths = {
    fleet: join(folder, 'fleet.json'),
    agent: join(folder, 'agent.json'),
    floor: join(folder, 'clock-floor'),
  }
  /** One that cannot be read is as good as lost: the documents beside it are a floor, too. */
  const readFloor = async () => {
    const text = (await readIfThere(paths.floor).catch(passOver))?.trim()
    return text !== undefined && isInstant(text) ? instantOf(text) : undefined
  }
  return {
    floor: readFloor,
    async load(by) {
      const refused: { file: string; code: string }[] = []
      const attempt = async <T>(path: string, read: (text: string) => T): Promise<T | undefined> => {
        try {
          const text = await readIfThere(path)
          return text === undefined ? undefined : read(text)
        } catch (error) {
          if (!(error instanceof MeshError || error instanceof RuntimeError)) throw error
          refused.push({ file: basename(path), code: error.code })
          return undefined
        }
      }
      const fleet = await attempt(paths.fleet, (text) => decodeHeldFleet(text, by))
      const trust = fleet?.trust ?? by.trust
      const agent = await attempt(paths.agent, (text) => decodeHeldAgent(text, { ...by, trust }))
      return { fleet, agent, floor: await readFloor(), refused }
    },
    save: (held) => writeFileAtomic(paths[held.kind], encodeHeld(held)),
    saveFloor: (floor) => writeFileAtomic(paths.floor, `${isoSeconds(floor)}\n`),
  }
}

function passOver(error: unknown): undefined {
  if (!(error instanceof RuntimeError)) throw error
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readFileBounded(path, MAX_BYTES)).toString('utf8')
  } catch (error) {
    ignoreMissing(error)
    return undefined
  }
}
