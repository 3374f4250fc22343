/** Gives back what it gets; asked to be busy, it keeps a thread of the pool for ever. Started by child.test.ts. */
import { pbkdf2 } from 'node:crypto'
import type { ServeChannel } from '../child.ts'

export const serve: ServeChannel = (channel) => {
  channel.on('data', (chunk: Buffer) => {
    if (chunk.toString() === 'busy') pbkdf2('x', 'y', 2 ** 31 - 1, 32, 'sha256', () => {})
    channel.write(chunk)
  })
  return () => {}
}
