/** A request that is to be refused, or to arrive in exactly one form. */
export interface RequestCase {
  readonly name: string
  /** The bytes, as latin1. The last request asks for the end of the connection, where it is not refused. */
  readonly send: string
  /** Statuses, one of which the agent answers with; then nothing of it arrives. */
  readonly refused?: readonly number[]
  /** What arrives, and nothing else. */
  readonly arrives?: readonly ArrivingRequest[]
}

export interface ArrivingRequest {
  /** Method and canonical target. */
  readonly as: string
  /** All headers but `x-vcc-caller`, `connection` and what frames the body; `host: covina` unless said otherwise. */
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: string
}

/** A head: the lines with CRLF after each, and an empty one. */
export function head(...lines: readonly string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** A GET with these headers, and an end of the connection after it. */
export function get(target: string, ...headers: readonly string[]): string {
  return head(`GET ${target} HTTP/1.1`, 'Host: covina', ...headers, 'Connection: close')
}

/** A POST with these headers, an end of the connection after it, and whatever bytes follow its head. */
export function post(headers: readonly string[], bytes = ''): string {
  return head('POST /post HTTP/1.1', 'Host: covina', ...headers, 'Connection: close') + bytes
}

/** What a smuggler wants to have taken for a request of its own. */
export const SMUGGLED: string = 'GET /smuggled HTTP/1.1\r\nHost: covina\r\nX-VCC-Caller: forged\r\n\r\n'

export const BAD_REQUEST: readonly number[] = [400]
