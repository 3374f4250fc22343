import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { type ForeignRefusal, type Refusal, wireForm } from './refusal.ts'

/** What a refusal over HTTP tells beside its code. */
export interface ProblemContext {
  /** Whose agent refused. */
  readonly side: 'caller' | 'callee'
  readonly source: string
  readonly target: string
  readonly connection: string
}

/**
 * Answers with an RFC 9457 problem. Closes the connection afterwards where it may be unclear what
 * comes next on it.
 *
 * @returns The status that was sent.
 */
export function sendProblem(
  response: ServerResponse,
  refusal: Refusal | ForeignRefusal,
  context: ProblemContext,
  options: { readonly close: boolean },
): number {
  const { status, body } = problemOf(refusal, context)
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(options.close ? { connection: 'close' } : {}),
  })
  response.end(body)
  return status
}

/** The same where node:http has made no response object: the request could not be read. */
export function sendRawProblem(socket: Duplex, refusal: Refusal, context: ProblemContext): void {
  const { status, title, body } = problemOf(refusal, context)
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n${body}`,
  )
}

function problemOf(refusal: Refusal | ForeignRefusal, context: ProblemContext) {
  const form = wireForm(refusal.code)
  const status = form[context.side]
  const body = JSON.stringify({
    type: `urn:vcc:problem:${refusal.code}`,
    title: form.title,
    status,
    code: refusal.code,
    rule: refusal.rule,
    ...context,
  })
  return { status, title: form.title, body }
}
