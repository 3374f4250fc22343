import type { Duplex } from 'node:stream'

export type SpliceEnd =
  | { readonly how: 'complete' | 'idle' | 'half_close_deadline' | 'aborted' }
  | { readonly how: 'failed'; readonly side: 'a' | 'b'; readonly error: Error }

export interface Splice {
  /** Settles once both streams are closed; never rejects. */
  readonly ended: Promise<SpliceEnd>
  /** Fails both sides at once. */
  abort(): void
  readonly bytesAtoB: () => number
  readonly bytesBtoA: () => number
}

export interface SpliceOptions {
  /** Without a byte in either direction for this long, both sides fail. 0: never. */
  readonly idleMs: number
  /** The same once one direction has ended: slides with every byte of the other. */
  readonly halfCloseMs: number
  /** Ends both streams so that it is seen as a failure on both (RST where there is TCP). */
  readonly fail: () => void
}

/**
 * Copies `a` to `b` and `b` to `a` until both directions have ended.
 *
 * An end in one direction is passed on in that direction only, so both streams must allow half-open. A stream that
 * cannot take more stops the reading of the other: nothing is queued beyond the streams' own buffers. A failure or a
 * close before its time on one side fails the other. Bytes the streams had buffered before are not lost.
 */
export function splice(a: Duplex, b: Duplex, options: SpliceOptions): Splice {
  const counts = { a: 0, b: 0 }
  const { promise: ended, resolve } = Promise.withResolvers<SpliceEnd>()
  let result: SpliceEnd | undefined
  let halfClosed = false
  let timer = options.idleMs > 0 ? setTimeout(onQuiet, options.idleMs) : undefined

  forward(a, b, 'a')
  forward(b, a, 'b')
  watch(a, 'a')
  watch(b, 'b')
  // A socket that was paused until now stays so for a mere listener.
  a.resume()
  b.resume()
  return { ended, abort: () => stop({ how: 'aborted' }), bytesAtoB: () => counts.a, bytesBtoA: () => counts.b }

  function forward(from: Duplex, to: Duplex, side: 'a' | 'b'): void {
    from.on('data', (chunk: Buffer) => {
      counts[side] += chunk.length
      timer?.refresh()
      if (to.write(chunk)) return
      from.pause()
      to.once('drain', () => {
        timer?.refresh()
        from.resume()
      })
    })
    from.on('end', () => {
      to.end()
      if (halfClosed) return
      halfClosed = true
      clearTimeout(timer)
      timer = setTimeout(onQuiet, options.halfCloseMs)
    })
  }

  function watch(stream: Duplex, side: 'a' | 'b'): void {
    stream.on('error', (error) => stop({ how: 'failed', side, error }))
    stream.on('close', () => {
      // A stream that closes by itself has ended and flushed both ways; anything else is a failure without words.
      if (!isComplete(stream)) stop({ how: 'failed', side, error: new Error('closed before its end') })
      settle()
    })
    if (stream.errored !== null) stop({ how: 'failed', side, error: stream.errored })
    else if (stream.destroyed) stop({ how: 'failed', side, error: new Error('closed before its end') })
  }

  function onQuiet(): void {
    stop({ how: halfClosed ? 'half_close_deadline' : 'idle' })
  }

  function stop(why: SpliceEnd): void {
    if (result !== undefined || (isComplete(a) && isComplete(b))) return
    result = why
    options.fail()
    a.destroy()
    b.destroy()
    settle()
  }

  function settle(): void {
    if (!a.closed || !b.closed) return
    clearTimeout(timer)
    resolve(result ?? { how: 'complete' })
  }
}

function isComplete(stream: Duplex): boolean {
  return stream.readableEnded && stream.writableFinished
}
