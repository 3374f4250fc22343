import type { Duplex } from 'node:stream'

/**
 * Has node:http read a TLS connection through its stream. To be called when a server has just been given it.
 *
 * By itself a server takes what TLS decrypts from below the stream. When it then pauses its parser, because a request
 * came before the answer to the last one was drained, the other records of the same read reach the paused parser all
 * the same: it fails with `HPE_PAUSED`, and a request is lost that may not be repeated (Node 26.10; plain TCP is not
 * concerned). Whoever reads the stream has it hold them back.
 */
export function readThroughStream(socket: Duplex): void {
  socket.on('data', () => {})
}
