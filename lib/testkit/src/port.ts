import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Distinct TCP ports that were free on 127.0.0.1 a moment ago. A server that can listen on port 0 itself should: between
 * this call and the use of a port another process may take it.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  for (let attempts = 0; ports.length < count; attempts += 1) {
    if (attempts > LAST - FIRST) throw new Error(`there are no ${count} free ports between ${FIRST} and ${LAST}`)
    next = next >= LAST ? FIRST : next + 1
    const port = next
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1)
  return port
}

/** Below the ports that kernels give to connections that go out: those are taken again by the next connection of anybody. */
const FIRST = 10_240
const LAST = 32_767
/** Each process goes on from a place of its own, and names no port twice: not those, either, of a process it has stopped to start again. */
let next = randomInt(FIRST, LAST)

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return false
    throw error
  }
}
