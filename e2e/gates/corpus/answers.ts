import { type Answer, CLOSED, RESET } from '../../harness/recording-backend.ts'
import { head } from './request-case.ts'

/** What a service answers, and what of it the caller gets. */
export interface AnswerCase {
  readonly name: string
  readonly method?: 'GET' | 'HEAD' | 'POST'
  /** The bytes of the service, latin1, and how it ends. */
  readonly answer: Answer
  /** The status and the body the caller gets; a body that breaks off is told by `broken`. */
  readonly status: number
  readonly body?: string
  /** The caller's connection is reset after what came: nobody takes a part for the whole. */
  readonly broken?: boolean
  /** Headers that arrive, beside those of the agent; all others do not. */
  readonly headers?: readonly string[]
}

const OK = 'HTTP/1.1 200 OK'
const LENGTH = 'Content-Length: 4'
const CHUNKED = 'Transfer-Encoding: chunked'
const SECOND = `${head(OK, 'Content-Length: 6', 'X-Split: yes')}second`
const whole = (name: string, ...answer: Answer): AnswerCase => ({ name, answer, status: 200, body: 'body' })
const failed = (name: string, ...answer: Answer): AnswerCase => ({ name, answer, status: 502 })
const broken = (name: string, ...answer: Answer): AnswerCase => ({ name, answer, status: 200, broken: true })

export const ANSWER_CASES: readonly AnswerCase[] = [
  // More than one answer
  whole('a second answer at once', `${head(OK, LENGTH)}body${SECOND}`),
  whole('a second answer after the last chunk', `${head(OK, CHUNKED)}4\r\nbody\r\n0\r\n\r\n${SECOND}`),
  whole('garbage after the body', `${head(OK, LENGTH)}bodygarbage`),
  { name: 'a body after 204', answer: [`${head('HTTP/1.1 204 No Content')}${SECOND}`], status: 204, body: '' },
  {
    name: 'a body after 304',
    answer: [`${head('HTTP/1.1 304 Not Modified', LENGTH)}body${SECOND}`],
    status: 304,
    body: '',
  },
  { name: 'a body after HEAD', method: 'HEAD', answer: [`${head(OK, LENGTH)}body${SECOND}`], status: 200, body: '' },
  failed(
    'a body of 4 with a length of 0 and a coding',
    `${head(OK, 'Content-Length: 0', CHUNKED)}4\r\nbody\r\n0\r\n\r\n`,
  ),
  // Framing
  failed('CL.TE', `${head(OK, LENGTH, CHUNKED)}0\r\n\r\n${SECOND}`),
  failed('TE.CL', `${head(OK, CHUNKED, LENGTH)}4\r\nbody\r\n0\r\n\r\n`),
  failed('two lengths', `${head(OK, LENGTH, 'Content-Length: 5')}body!`),
  failed('the same length twice', `${head(OK, LENGTH, LENGTH)}body`),
  failed('a list of lengths', `${head(OK, 'Content-Length: 4, 4')}body`),
  failed('a length with a sign', `${head(OK, 'Content-Length: +4')}body`),
  failed('a length past 64 bits', `${head(OK, 'Content-Length: 18446744073709551620')}body`),
  failed('a length of letters', `${head(OK, 'Content-Length: four')}body`),
  failed('gzip before chunked', `${head(OK, 'Transfer-Encoding: gzip, chunked')}4\r\nbody\r\n0\r\n\r\n`),
  failed('chunked twice', `${head(OK, CHUNKED, CHUNKED)}4\r\nbody\r\n0\r\n\r\n`),
  failed('chunked twice in a list', `${head(OK, `${CHUNKED}, chunked`)}4\r\nbody\r\n0\r\n\r\n`),
  failed('xchunked', `${head(OK, 'Transfer-Encoding: xchunked')}4\r\nbody\r\n0\r\n\r\n`, CLOSED),
  failed('identity', `${head(OK, 'Transfer-Encoding: identity', LENGTH)}body`),
  broken('a chunk size that is none', `${head(OK, CHUNKED)}xyz\r\nbody\r\n0\r\n\r\n`),
  broken('a chunk longer than its size', `${head(OK, CHUNKED)}3\r\nbody\r\n0\r\n\r\n`),
  broken('a chunk size past 64 bits', `${head(OK, CHUNKED)}10000000000000004\r\nbody\r\n0\r\n\r\n`),
  broken('a chunk size before a bare LF', `${head(OK, CHUNKED)}4\nbody\n0\n\n`),
  whole('a chunk extension', `${head(OK, CHUNKED)}4;a=b\r\nbody\r\n0\r\n\r\n`),
  // Heads
  failed('no HTTP at all', 'certainly not\r\n\r\n'),
  failed('HTTP/0.9', 'body', CLOSED),
  failed('a status of two digits', `${head('HTTP/1.1 20 OK', LENGTH)}body`),
  failed('a status of four digits', `${head('HTTP/1.1 2000 OK', LENGTH)}body`),
  failed('a status of letters', `${head('HTTP/1.1 abc OK', LENGTH)}body`),
  failed('a status of 000', `${head('HTTP/1.1 000 Zero', LENGTH)}body`),
  failed(
    'a status of 101 that nobody asked for',
    `${head('HTTP/1.1 101 Switching Protocols', 'Connection: upgrade', 'Upgrade: x')}raw`,
  ),
  failed('a folded header', `${head(OK, LENGTH, 'X-A: b', ' c')}body`),
  failed('a bare CR in a value', `${head(OK, LENGTH, 'X-A: b\rX-Split: yes')}body`),
  failed('a bare LF in a value', `${head(OK, LENGTH, 'X-A: b\nX-Split: yes')}body`),
  failed('lines that end with LF', 'HTTP/1.1 200 OK\nContent-Length: 4\n\nbody'),
  failed('NUL in a value', `${head(OK, LENGTH, 'X-A: b\0c')}body`),
  failed('a header without a colon', `${head(OK, LENGTH, 'X-A')}body`),
  failed('a space before the colon', `${head(OK, LENGTH, 'X-Split : yes')}body`),
  failed('a head of 100,000 bytes', `${head(OK, LENGTH, `X-A: ${'a'.repeat(100_000)}`)}body`),
  failed('a head without end', `${OK}\r\n${'X-A: b\r\n'.repeat(50_000)}`),
  { ...whole('a status of 999', `${head('HTTP/1.1 999 Much', LENGTH)}body`), status: 999 },
  whole('HTTP/2.0 in the first line', `${head('HTTP/2.0 200 OK', LENGTH)}body`),
  whole('no reason', `${head('HTTP/1.1 200', LENGTH)}body`),
  whole('a reason that looks like a header', `${head('HTTP/1.1 200 X-Split: yes', LENGTH)}body`),
  // Interim answers
  // Nothing of ours asks for 100; undici takes it for the answer of a broken server. See docs/divergences.md.
  failed('a 100 that nobody asked for', `${head('HTTP/1.1 100 Continue')}${head(OK, LENGTH)}body`),
  failed('a thousand 100s', head('HTTP/1.1 100 Continue').repeat(1000), `${head(OK, LENGTH)}body`),
  whole('a thousand 103s', head('HTTP/1.1 103 Early Hints', 'Link: </a>').repeat(1000), `${head(OK, LENGTH)}body`),
  whole('a 103 with a length', `${head('HTTP/1.1 103 Early Hints', LENGTH)}${head(OK, LENGTH)}body`),
  whole('a 102 with an identity', `${head('HTTP/1.1 102 Processing', 'X-VCC-Caller: forged')}${head(OK, LENGTH)}body`),
  // Ends
  failed('an end at once', CLOSED),
  failed('a reset at once', RESET),
  failed('an end in the first line', 'HTTP/1.1 20', CLOSED),
  failed('an end in the head', `${OK}\r\nContent-Le`, CLOSED),
  failed('100s and an end', head('HTTP/1.1 100 Continue'), CLOSED),
  broken('an end before the body', head(OK, LENGTH), CLOSED),
  broken('an end in the body', `${head(OK, LENGTH)}bo`, CLOSED),
  broken('a reset in the body', `${head(OK, LENGTH)}bo`, RESET),
  broken('an end between chunks', `${head(OK, CHUNKED)}4\r\nbody\r\n`, CLOSED),
  broken('an end in the last chunk', `${head(OK, CHUNKED)}4\r\nbody\r\n0\r\n`, CLOSED),
  whole('a body as long as the connection', `${head(OK)}body`, CLOSED),
  whole('HTTP/1.0', `${head('HTTP/1.0 200 OK')}body`, CLOSED),
  whole('HTTP/1.0 with a length', `${head('HTTP/1.0 200 OK', LENGTH)}body`),
  whole('Connection: close and no end', `${head(OK, LENGTH, 'Connection: close')}body`),
  {
    name: 'an early answer',
    method: 'POST',
    answer: [`${head('HTTP/1.1 413 Too Large', LENGTH)}body`, CLOSED],
    status: 413,
    body: 'body',
  },
  // Headers
  whole('identities', `${head(OK, LENGTH, 'X-VCC-Caller: forged', 'x_vcc_caller: forged', 'Client-Cert: forged')}body`),
  whole(
    'an identity in a trailer',
    `${head(OK, CHUNKED, 'Trailer: X-VCC-Caller')}4\r\nbody\r\n0\r\nX-VCC-Caller: forged\r\n\r\n`,
  ),
  broken('a length in a trailer', `${head(OK, CHUNKED)}4\r\nbody\r\n0\r\nContent-Length: 9\r\n\r\n`),
  whole(
    'what Connection names',
    `${head(OK, LENGTH, 'Connection: x-secret', 'X-Secret: 1', 'Keep-Alive: timeout=999')}body`,
  ),
  {
    ...whole(
      'headers that are the caller’s',
      `${head(OK, LENGTH, 'Set-Cookie: a=1', 'Set-Cookie: b=2', 'ETag: "1"')}body`,
    ),
    headers: ['Set-Cookie: a=1', 'Set-Cookie: b=2', 'ETag: "1"'],
  },
]
