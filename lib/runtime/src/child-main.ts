/** A child of `startChild`: the module named by its argument serves the channel that is descriptor 3. */
import { Socket } from 'node:net'
import process from 'node:process'
import type { ServeChannel } from './child.ts'

for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => {})

const channel = new Socket({ fd: 3, readable: true, writable: true })
const { serve } = (await import(process.argv[2] ?? '')) as { serve: ServeChannel } // startChild names such a module
const close = serve(channel)

// Nobody is left to work for. `process.exit` would wait for the threads of the pool, and one may hang in foreign code.
for (const event of ['end', 'error'] as const) {
  channel.once(event, () => {
    close()
    process.kill(process.pid, 'SIGKILL')
  })
}
