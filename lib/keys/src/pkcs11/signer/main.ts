/**
 * The signer process: the only one that loads a vendor's PKCS#11 module. It holds no state that its successor would need.
 * Started by `signer-process.ts`; imports little, since its start is the way back from every failure.
 */
import type { Duplex } from 'node:stream'
import { readFrames, writeFrame } from '../frame.ts'
import type { Asked, Reply } from '../message.ts'
import { TokenFault } from './fault.ts'
import { createTokenService } from './service.ts'

export function serve(channel: Duplex): () => void {
  const say = (reply: Reply) => {
    if (channel.writable) writeFrame(channel, reply)
  }
  const service = createTokenService((why) => say({ lost: why.slice(0, MAX_DETAIL) }))
  readFrames(channel, (value) => {
    const { id, request } = value as Asked // from the process that started this one
    service.perform(request).then(
      (answer) => say({ id, answer }),
      (error: unknown) => say({ id, fault: faultFacts(error) }),
    )
  })
  return service.close
}

function faultFacts(error: unknown) {
  if (error instanceof TokenFault) {
    return { code: error.code, detail: error.message.slice(0, MAX_DETAIL), began: error.began }
  }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : 'unknown'
  return { code: 'failed', detail: what.slice(0, MAX_DETAIL), began: true } as const
}

const MAX_DETAIL = 300
