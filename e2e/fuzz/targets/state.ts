import { createHash } from 'node:crypto'
import {
  type AgentAcceptance,
  acceptAgent,
  acceptDelta,
  acceptFleet,
  acceptRefresh,
  canonicalJson,
  decodeHeldAgent,
  decodeHeldFleet,
  MESH_FAILURES,
  MeshError,
  type TrustStatement,
  verifyEnvelope,
  verifyReply,
  verifyTrustStatement,
} from '@vcc/mesh'
import { decodeCertificate } from '@vcc/x509'
import { AT, type Corpus, derOf, INSTANCE, NONCE, readCorpus, SERVICE } from '../corpus.ts'
import { keyOf } from '../keys.ts'
import { deepJson, mutateJson } from '../mutate/json.ts'
import { type FuzzSigner, mutateJws } from '../mutate/jws.ts'
import { mutateText } from '../mutate/text.ts'
import { assertOriginal, judge, type RunCase, type Target } from '../target.ts'

const MESH = { error: MeshError, codes: MESH_FAILURES }
const STATE_SIGNER: FuzzSigner = { key: keyOf('state signer 1').key, hash: 'sha256' }
const WORDS = ['{', '}', '"', '\\', '\u0000', ',', 'null'] as const
const PURPOSES = ['status', 'ack', 'renew', 're-enrol'] as const
const AGENT_SIGNER: FuzzSigner = { key: keyOf(INSTANCE).key, hash: 'sha256' }
const ROOT_SIGNER: FuzzSigner = { key: keyOf('root', 'P-384').key, hash: 'sha384' }

/** Each twice: changed by somebody without a key, where nothing new may be taken; and signed anew after the change. */
export const STATE_TARGETS: readonly Target[] = [
  ...both('trust-statement', ROOT_SIGNER, (corpus) => {
    const { root } = acceptanceOf(corpus)
    return { corpus: [corpus.trust], read: (jws) => verifyTrustStatement(jws, root) }
  }),
  ...both('state-document', STATE_SIGNER, (corpus) => {
    const by = acceptanceOf(corpus)
    const held = acceptFleet(undefined, corpus.fleet, by)
    const own = acceptAgent(undefined, corpus.agent, by)
    return {
      corpus: [corpus.fleet, corpus.agent, corpus.refresh, corpus.delta],
      read(jws, random) {
        switch (random.int(6)) {
          case 0:
            return acceptFleet(undefined, jws, by)
          case 1:
            return acceptFleet(held, jws, by)
          case 2:
            return acceptAgent(random.oneIn(2) ? own : undefined, jws, by)
          case 3:
            return acceptRefresh(random.oneIn(4) ? own : held, jws, by)
          default:
            return acceptDelta(held, jws, by)
        }
      },
    }
  }),
  ...both('envelope', AGENT_SIGNER, (corpus) => {
    const root = decodeCertificate(derOf(corpus.rsaRoot))
    return {
      corpus: Object.values(corpus.envelopes),
      read(jws, random) {
        const purpose = random.pick(PURPOSES)
        return verifyEnvelope(jws, { anchors: [root], now: AT, purpose, expectInstance: INSTANCE })
      },
    }
  }),
  ...both('reply', STATE_SIGNER, (corpus) => {
    const by = acceptanceOf(corpus)
    const request = { instance: INSTANCE, correlation: NONCE, nonce: NONCE }
    return { corpus: [corpus.reply], read: (jws) => verifyReply(jws, request, by) }
  }),
  { name: 'held-file', prepare: heldFiles },
]

interface Reading {
  readonly corpus: readonly string[]
  readonly read: (jws: string, random: Parameters<RunCase>[0]) => unknown
}

function both(name: string, signer: FuzzSigner, readingOf: (corpus: Corpus) => Reading): readonly Target[] {
  return [
    {
      name,
      prepare() {
        const { corpus, read } = readingOf(readCorpus())
        const originals = new Set(corpus)
        return (random, note) => {
          const jws = mutateJws(corpus, random, undefined)
          note(jws)
          return judge(() => {
            read(jws, random)
            assertOriginal(jws, originals)
          }, MESH)
        }
      },
    },
    {
      name: `${name}-signed`,
      prepare() {
        const { corpus, read } = readingOf(readCorpus())
        return (random, note) => {
          const jws = mutateJws(corpus, random, signer)
          note(jws)
          return judge(() => read(jws, random), MESH)
        }
      },
    },
  ]
}

/** What an agent finds on its own disk, with its digest made right again for half of the cases. */
function heldFiles(): RunCase {
  const corpus = readCorpus()
  const by = acceptanceOf(corpus)
  const files = [corpus.held.fleet, corpus.held.agent]
  return (random, note) => {
    const text = random.oneIn(64) ? deepJson(random) : random.oneIn(4) ? mutateText(files, WORDS, random) : edited()
    note(text)
    return judge(() => (random.oneIn(2) ? decodeHeldFleet(text, by) : decodeHeldAgent(text, by)), MESH)

    function edited(): string {
      const file = JSON.parse(random.pick([corpus.held.fleet, corpus.held.agent])) as { state: Record<string, unknown> }
      const signer = random.oneIn(3) ? STATE_SIGNER : undefined
      const state = random.oneIn(2)
        ? { ...file.state, document: mutateJws([corpus.fleet, corpus.agent], random, signer) }
        : mutateJson(file.state, random)
      try {
        const sha256 = random.oneIn(2) ? createHash('sha256').update(canonicalJson(state)).digest('hex') : 'ab'
        return canonicalJson(mutateRarely({ ...file, sha256, state }))
      } catch {
        return JSON.stringify({ ...file, state }) // what RFC 8785 has no form for
      }
    }

    function mutateRarely(file: unknown): unknown {
      return random.oneIn(4) ? mutateJson(file, random) : file
    }
  }
}

function acceptanceOf(corpus: Corpus): AgentAcceptance {
  const root = decodeCertificate(derOf(corpus.root))
  const trust: TrustStatement = verifyTrustStatement(corpus.trust, root)
  return { root, trust, now: AT, floor: undefined, instance: INSTANCE, service: SERVICE }
}
