import { BAD_REQUEST, get, head, post, type RequestCase, SMUGGLED } from './request-case.ts'

const refused = (name: string, send: string, statuses = BAD_REQUEST): RequestCase => ({ name, send, refused: statuses })

/** Other versions, other protocols, several requests at once. RFC 9110 §7.8, §10.1.1, RFC 9112 §9.3. */
export const PROTOCOL_CASES: readonly RequestCase[] = [
  refused('HTTP/0.9', 'GET /\r\n\r\n'),
  refused('HTTP/0.9 by name', head('GET / HTTP/0.9', 'Host: covina')),
  refused('HTTP/1.2', head('GET / HTTP/1.2', 'Host: covina')),
  refused('HTTP/2.0', head('GET / HTTP/2.0', 'Host: covina')),
  refused('HTTP/1.10', head('GET / HTTP/1.10', 'Host: covina')),
  refused('HTTP/01.1', head('GET / HTTP/01.1', 'Host: covina')),
  refused('http/1.1', head('GET / http/1.1', 'Host: covina')),
  refused('HTTPS/1.1', head('GET / HTTPS/1.1', 'Host: covina')),
  refused('HTTP/2 with prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  refused('a TLS ClientHello', `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${'\x00'.repeat(40)}\r\n\r\n`),
  refused('RTSP', head('DESCRIBE rtsp://covina/ RTSP/1.0', 'CSeq: 1')),
  refused('CONNECT', head('CONNECT covina:443 HTTP/1.1', 'Host: covina:443')),
  refused('CONNECT with a path', head('CONNECT /a HTTP/1.1', 'Host: covina')),
  refused(
    'CONNECT with a body',
    `${head('CONNECT covina:443 HTTP/1.1', 'Host: covina:443', 'Content-Length: 4')}body${SMUGGLED}`,
  ),
  refused('OPTIONS *', head('OPTIONS * HTTP/1.1', 'Host: covina', 'Connection: close')),
  refused('an upgrade to a WebSocket', get('/ws', 'Connection: Upgrade', 'Upgrade: websocket'), [501]),
  refused('an upgrade to two protocols', get('/ws', 'Connection: Upgrade', 'Upgrade: h2c, websocket'), [501]),
  refused('two upgrades', get('/ws', 'Connection: Upgrade', 'Upgrade: h2c', 'Upgrade: websocket'), [501]),
  refused('an upgrade that Connection does not name', get('/ws', 'Upgrade: websocket'), [501]),
  {
    name: 'an offer of h2c',
    send: get('/h2c', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'),
    arrives: [{ as: 'GET /h2c' }],
  },
  {
    name: 'an offer of h2c with a body',
    send: post(['Connection: Upgrade', 'Upgrade: h2c', 'Content-Length: 4'], 'body'),
    arrives: [{ as: 'POST /post', body: 'body' }],
  },
  refused('an expectation nobody knows', post(['Expect: 200-ok', 'Content-Length: 4'], 'body'), [417]),
  {
    name: 'Expect: 100-continue without waiting',
    send: post(['Expect: 100-continue', 'Content-Length: 4'], 'body'),
    arrives: [{ as: 'POST /post', body: 'body' }],
  },
  {
    name: 'Expect: 100-continue without a body',
    send: get('/expect', 'Expect: 100-continue'),
    arrives: [{ as: 'GET /expect' }],
  },
  {
    name: 'HTTP/1.0 with a host',
    send: head('GET /old HTTP/1.0', 'Host: covina'),
    arrives: [{ as: 'GET /old' }],
  },
  {
    name: 'HTTP/1.0 without a host',
    send: head('GET /old HTTP/1.0'),
    arrives: [{ as: 'GET /old', headers: [['host', '']] }],
  },
  {
    name: 'HTTP/1.0 with a length',
    send: `${head('POST /post HTTP/1.0', 'Host: covina', 'Content-Length: 4')}body`,
    arrives: [{ as: 'POST /post', body: 'body' }],
  },
  {
    name: 'two requests at once',
    send: head('GET /first HTTP/1.1', 'Host: covina') + get('/second'),
    arrives: [{ as: 'GET /first' }, { as: 'GET /second' }],
  },
  {
    name: 'two requests at once, the first with a body',
    send: `${head('POST /first HTTP/1.1', 'Host: covina', 'Content-Length: 4')}body${get('/second', 'X-VCC-Caller: forged')}`,
    arrives: [{ as: 'POST /first', body: 'body' }, { as: 'GET /second' }],
  },
  {
    name: 'nothing after Connection: close',
    send: get('/first') + get('/second'),
    arrives: [{ as: 'GET /first' }],
  },
  {
    name: 'a second request that is refused',
    send: head('GET /first HTTP/1.1', 'Host: covina') + get('/../second'),
    arrives: [{ as: 'GET /first' }],
  },
  {
    name: 'GET with a body',
    send: `${get('/body', 'Content-Length: 4')}body`,
    arrives: [{ as: 'GET /body', body: 'body' }],
  },
  {
    name: 'GET with chunks',
    send: `${get('/body', 'Transfer-Encoding: chunked')}4\r\nbody\r\n0\r\n\r\n`,
    arrives: [{ as: 'GET /body', body: 'body' }],
  },
  {
    name: 'DELETE with a body',
    send: `${head('DELETE /body HTTP/1.1', 'Host: covina', 'Content-Length: 4', 'Connection: close')}body`,
    arrives: [{ as: 'DELETE /body', body: 'body' }],
  },
  {
    name: 'HEAD',
    send: head('HEAD /head HTTP/1.1', 'Host: covina', 'Connection: close'),
    arrives: [{ as: 'HEAD /head' }],
  },
  {
    name: 'a length of 0',
    send: post(['Content-Length: 0']),
    arrives: [{ as: 'POST /post' }],
  },
  {
    name: 'chunks of nothing',
    send: post(['Transfer-Encoding: chunked'], '0\r\n\r\n'),
    arrives: [{ as: 'POST /post' }],
  },
]
