import { connect } from 'node:net'

const CONNECTIONS = 8

/** Sends the same HTTP request over and over, one after the other on each of eight connections. Answers must be 200. */
export async function httpLoad(port: number, request: Buffer, count: number): Promise<void> {
  let left = count
  await Promise.all(Array.from({ length: CONNECTIONS }, () => connection(port, request, () => left-- > 0)))
}

function connection(port: number, request: Buffer, wantsMore: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let got = 0
    let whole: number | undefined
    const next = () => {
      got = 0
      whole = undefined
      if (wantsMore()) socket.write(request)
      else socket.end(resolve)
    }
    socket.setNoDelay(true)
    socket.setTimeout(60_000, () => socket.destroy(new Error(`no answer from port ${port} within a minute`)))
    socket.on('error', reject)
    socket.on('connect', next)
    socket.on('data', (data: Buffer) => {
      whole ??= lengthOf(data)
      got += data.length
      if (got >= whole) next()
    })
  })
}

/** Length of an answer, from its head: which comes in one piece here. */
function lengthOf(data: Buffer): number {
  const end = data.indexOf('\r\n\r\n')
  const head = data.toString('latin1', 0, end)
  const length = /^content-length: (\d+)$/im.exec(head)?.[1]
  if (end < 0 || length === undefined || !head.startsWith('HTTP/1.1 200'))
    throw new Error(`an unexpected answer: ${head}`)
  return end + 4 + Number(length)
}
