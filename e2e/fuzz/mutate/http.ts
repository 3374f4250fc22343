import type { Random } from '../random.ts'
import { mutateBytes } from './bytes.ts'

/** What a client may write to an HTTP/1.1 server: heads and bodies with fields, framing, targets and line ends changed. */
export function mutateHttp(random: Random): Uint8Array {
  const requests = Array.from({ length: random.oneIn(4) ? 2 : 1 }, () => request(random)).join('')
  const bytes = new Uint8Array(Buffer.from(requests, 'latin1'))
  return random.oneIn(5) ? mutateBytes(bytes, random) : bytes
}

function request(random: Random): string {
  const body = random.pick([
    '',
    '',
    'hello',
    'GET /smuggled HTTP/1.1\r\nHost: covina\r\n\r\n',
    '5\r\nhello\r\n0\r\n\r\n',
  ])
  const lines = [...framing(body, random)]
  for (let left = random.int(3); left > 0; left--) lines.push(random.pick(FIELDS))
  if (!random.oneIn(20)) lines.push('Host: covina')
  if (random.oneIn(20)) lines.push('Host: other')
  if (random.oneIn(40))
    lines.push(
      ...Array.from({ length: random.pick([50, 300, 3000]) }, (_, i) => `X-${i}: ${'y'.repeat(random.int(40))}`),
    )
  const shuffled = lines
    .toSorted(() => random.int(3) - 1)
    .map((line) => (random.oneIn(24) ? spoiled(line, random) : line))
  const start = [rarely(METHODS, random), rarely(TARGETS, random), rarely(VERSIONS, random)].join(
    random.oneIn(30) ? '  ' : ' ',
  )
  const end = random.oneIn(20) ? random.pick(['\n', '\r', '\r\r\n', '\n\r']) : '\r\n'
  return [start, ...shuffled, '', body].join(end)
}

/** The first, which is the usual one, but once in eight times any. */
function rarely(list: readonly [string, ...string[]], random: Random): string {
  return random.oneIn(8) ? random.pick(list) : list[0]
}

/** How the length of the body is said: right two times of three, else wrongly, twice, or in two ways. */
function framing(body: string, random: Random): string[] {
  const isChunked = body.endsWith('0\r\n\r\n')
  if (!random.oneIn(3)) {
    if (isChunked) return ['Transfer-Encoding: chunked']
    return body === '' ? [] : [`Content-Length: ${body.length}`]
  }
  const length = random.pick(LENGTHS)
  const coding = random.pick(CODINGS)
  return random.pick([
    [`Transfer-Encoding: ${coding}`],
    [`Content-Length: ${length}`],
    [`Content-Length: ${body.length}`, `Transfer-Encoding: ${coding}`],
    [`Content-Length: ${body.length}`, `Content-Length: ${length}`],
    ['Transfer-Encoding: chunked', `Transfer-Encoding: ${coding}`],
  ])
}

function spoiled(line: string, random: Random): string {
  const colon = line.indexOf(':')
  return random.pick([
    `${line.slice(0, colon)} ${line.slice(colon)}`,
    ` ${line}`,
    line.replaceAll('-', '_'),
    line.toUpperCase(),
    `${line}\r\n folded`,
    `${line}\u0000`,
    `${line.slice(0, colon)}\t${line.slice(colon)}`,
    `${line}\nX-Injected: 1`,
    line.slice(0, colon),
    `${line}${'z'.repeat(20_000)}`,
  ])
}

const LENGTHS = ['+5', '05', '5, 5', '-1', '0x5', '1e1', '5 ', '99999999999999999999', ' ', '4', '0'] as const
const CODINGS = [
  'chunked',
  'Chunked',
  'chunked, identity',
  'identity',
  'gzip, chunked',
  'xchunked',
  'chunked\u000b',
  '',
] as const
const METHODS = ['GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'CONNECT', 'TRACE', 'get', 'PRI', 'G\u0000T', ''] as const
const TARGETS = [
  '/',
  '/a/b?c=d',
  '/a/../b',
  '/a/%2e%2e/b',
  '/a/%2f/b',
  '//a',
  '/a\\b',
  '/%zz',
  '/%00',
  '/%252e',
  '*',
  'http://covina/a',
  'covina:443',
  '/a#b',
  '/ä',
  '',
  `/${'a'.repeat(20_000)}`,
] as const
const VERSIONS = ['HTTP/1.1', 'HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.1x', 'http/1.1', ''] as const
const FIELDS = [
  'Connection: keep-alive',
  'Connection: close',
  'Connection: host, content-length',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
  'Expect: 100-continue',
  'Expect: 200-ok',
  'TE: trailers',
  'Trailer: X-Vcc-Caller',
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
  'X-Vcc-Caller: spiffe://vcc.internal/control',
  'x_vcc_caller: spiffe://vcc.internal/control',
  'X-Forwarded-Client-Cert: By=x',
  'X-SSL-Client-Verify: SUCCESS',
  'Cookie: a=b',
  'X-Empty:',
  'X-Latin: \u00e4',
  'X-Tab:\tb',
  'Content-Encoding: gzip',
] as const
