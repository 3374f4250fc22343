import { get, type IncomingMessage } from 'node:http'
import { eventually } from './process.ts'

/** An answer that goes on, line by line, until somebody ends it. */
export interface Stream {
  readonly lines: () => number
  readonly isOver: () => boolean
  readonly close: () => void
}

/** Opened, and flowing: two lines have come. */
export async function openStream(url: string): Promise<Stream> {
  let lines = 0
  let over = false
  const response = await new Promise<IncomingMessage>((resolve, reject) => get(url, resolve).on('error', reject))
  response.on('data', (chunk: Buffer) => (lines += chunk.toString('latin1').split('\n').length - 1))
  for (const end of ['end', 'error', 'aborted', 'close']) response.on(end, () => (over = true))
  await eventually(`${url} flows`, () => lines >= 2)
  return { lines: () => lines, isOver: () => over, close: () => response.destroy() }
}
