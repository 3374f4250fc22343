import { BAD_REQUEST, get, head, type RequestCase } from './request-case.ts'

const refused = (name: string, send: string, statuses = BAD_REQUEST): RequestCase => ({ name, send, refused: statuses })

/** Lines, line ends and what stands before them. RFC 9112 §2, §3, §5. */
export const LINE_CASES: readonly RequestCase[] = [
  refused('lines that end with LF', 'GET /lf HTTP/1.1\nHost: covina\nConnection: close\n\n'),
  refused('one line that ends with LF', 'GET /lf HTTP/1.1\r\nHost: covina\nConnection: close\r\n\r\n'),
  refused('a head that ends with LF', 'GET /lf HTTP/1.1\r\nHost: covina\r\nConnection: close\r\n\n'),
  refused('a head that ends with CR', 'GET /cr HTTP/1.1\r\nHost: covina\r\nConnection: close\r\n\r\r'),
  refused('lines that end with CR', 'GET /cr HTTP/1.1\rHost: covina\rConnection: close\r\r'),
  refused('a bare CR in a value', get('/cr', 'X-A: b\rX-VCC-Caller: forged')),
  refused('a bare LF in a value', get('/lf', 'X-A: b\nX-VCC-Caller: forged')),
  refused('NUL in a value', get('/nul', 'X-A: b\0c')),
  refused('DEL in a value', get('/del', 'X-A: b\x7fc')),
  refused('a control character in a value', get('/control', 'X-A: b\x01c')),
  refused('NUL in a name', get('/nul', 'X\0A: b')),
  refused('NUL in the target', get('/nul\0')),
  refused('a folded line', get('/fold', 'X-A: b', ' c')),
  refused('a folded line with a tab', get('/fold', 'X-A: b', '\tX-VCC-Caller: forged')),
  refused('a folded first header', head('GET /fold HTTP/1.1', ' Host: covina', 'Connection: close')),
  refused('a header without a colon', get('/colon', 'X-A')),
  refused('a header without a name', get('/name', ': b')),
  refused('a space before the colon', get('/space', 'X-VCC-Caller : forged')),
  refused('a tab before the colon', get('/tab', 'X-VCC-Caller\t: forged')),
  refused('a space in a name', get('/space', 'X VCC-Caller: forged')),
  refused('a bracket in a name', get('/bracket', 'X[VCC]Caller: forged')),
  refused('a byte above 127 in a name', get('/high', 'X-VCC\xadCaller: forged')),
  refused('a head of 40,000 bytes', get('/huge', `X-A: ${'a'.repeat(40_000)}`), [431]),
  refused('a head of 4,000 lines', get('/huge', ...Array.from({ length: 4000 }, (_, index) => `X-${index}: b`)), [431]),
  refused('2,500 short headers', get('/many', ...Array.from({ length: 2500 }, (_, index) => `h${index}:1`)), [431]),
  refused('a target of 40,000 bytes', get(`/${'a'.repeat(40_000)}`), [431]),
  refused('a name of 40,000 bytes', get('/huge', `${'a'.repeat(40_000)}: b`), [431]),
  refused('a tab in the first line', head('GET\t/tab HTTP/1.1', 'Host: covina', 'Connection: close')),
  refused('a space at the end of the first line', head('GET /space HTTP/1.1 ', 'Host: covina', 'Connection: close')),
  refused('a space in the target', head('GET /a b HTTP/1.1', 'Host: covina', 'Connection: close')),
  refused('a space before the method', head(' GET /space HTTP/1.1', 'Host: covina', 'Connection: close')),
  refused('no target', head('GET HTTP/1.1', 'Host: covina', 'Connection: close')),
  refused('a method in lower case', head('get /case HTTP/1.1', 'Host: covina', 'Connection: close')),
  refused('an unknown method', head('SMUGGLE /method HTTP/1.1', 'Host: covina', 'Connection: close')),
  refused('a method with a colon', head('GE:T /method HTTP/1.1', 'Host: covina', 'Connection: close')),
  {
    // RFC 9112 §3: "recipients MAY instead parse on whitespace-delimited word boundaries".
    name: 'two spaces in the first line',
    send: head('GET  /space HTTP/1.1', 'Host: covina', 'Connection: close'),
    arrives: [{ as: 'GET /space' }],
  },
  { name: 'empty lines first', send: `\r\n\r\n${get('/empty')}`, arrives: [{ as: 'GET /empty' }] },
  {
    name: 'spaces around a value',
    send: get('/space', 'X-A: \t b \t'),
    arrives: [
      {
        as: 'GET /space',
        headers: [
          ['host', 'covina'],
          ['x-a', 'b'],
        ],
      },
    ],
  },
  {
    name: 'bytes above 127 in a value',
    send: get('/high', 'X-A: caf\xe9'),
    arrives: [
      {
        as: 'GET /high',
        headers: [
          ['host', 'covina'],
          ['x-a', 'caf\xe9'],
        ],
      },
    ],
  },
  {
    name: 'an empty value',
    send: get('/empty', 'X-A:'),
    arrives: [
      {
        as: 'GET /empty',
        headers: [
          ['host', 'covina'],
          ['x-a', ''],
        ],
      },
    ],
  },
]
