import { BAD_REQUEST, get, head, post, type RequestCase, SMUGGLED } from './request-case.ts'

const HOST = ['host', 'covina'] as const
const refused = (name: string, send: string, statuses = BAD_REQUEST): RequestCase => ({ name, send, refused: statuses })
/** Arrives without what it says beside its host. */
const stripped = (name: string, ...headers: readonly string[]): RequestCase => ({
  name,
  send: get('/stripped', ...headers, 'X-Kept: yes'),
  arrives: [{ as: 'GET /stripped', headers: [HOST, ['x-kept', 'yes']] }],
})

/** Headers that speak of who calls, of one hop, or of where to. RFC 9110 §7.6, RFC 9112 §3.2. */
export const HEADER_CASES: readonly RequestCase[] = [
  stripped('x-vcc-caller', 'x-vcc-caller: forged'),
  stripped('X-VCC-CALLER', 'X-VCC-CALLER: forged'),
  stripped('X_VCC_Caller', 'X_VCC_Caller: forged'),
  stripped('x-vcc_caller', 'x-vcc_caller: forged'),
  stripped('x_vcc-caller', 'x_vcc-caller: forged'),
  stripped('X-Vcc-Caller twice', 'X-Vcc-Caller: forged', 'X-Vcc-Caller: again'),
  stripped('x-vcc-caller with a number', 'x-vcc-caller-2: forged'),
  stripped('x-vcc-permissions', 'x-vcc-permissions: all'),
  stripped('X-Forwarded-Client-Cert', 'X-Forwarded-Client-Cert: By=spiffe://x;URI=spiffe://y'),
  stripped('x_forwarded_client_cert', 'x_forwarded_client_cert: By=spiffe://x'),
  stripped('X-Forwarded-Tls-Client-Cert', 'X-Forwarded-Tls-Client-Cert: pem', 'X-Forwarded-Tls-Client-Cert-Info: x'),
  stripped('X-Client-Cert', 'X-Client-Cert: pem', 'X-Client-Cert-Chain: pem'),
  stripped('Client-Cert', 'Client-Cert: :cGVt:', 'Client-Cert-Chain: :cGVt:'),
  stripped('X-SSL-Client', 'X-SSL-Client-Verify: SUCCESS', 'X-SSL-Client-S-DN: CN=admin'),
  stripped('SSL-Client', 'SSL-Client-Verify: SUCCESS', 'SSL_CLIENT_S_DN: CN=admin'),
  stripped('X-SPIFFE-ID', 'X-SPIFFE-ID: spiffe://x', 'SPIFFE-ID: spiffe://x'),
  stripped('l5d-client-id', 'l5d-client-id: x'),
  stripped('X-Client-DN', 'X-Client-DN: CN=admin', 'X-Client-Verify: SUCCESS'),
  stripped('X-Amzn-Mtls-Clientcert', 'X-Amzn-Mtls-Clientcert-Subject: CN=admin'),
  stripped('X-ARR-ClientCert', 'X-ARR-ClientCert: pem'),
  // CGI and WSGI show `_` and `-` as the same
  stripped('Content_Length', 'Content_Length: 100'),
  stripped('Transfer_Encoding', 'Transfer_Encoding: chunked'),
  stripped('Proxy_Connection', 'Proxy_Connection: keep-alive'),
  stripped('Content_Type', 'Content_Type: text/html'),
  // One hop
  stripped('what Connection names', 'Connection: x-secret', 'X-Secret: 1'),
  stripped('what Connection names in capitals', 'CONNECTION: X-SECRET , other', 'x-secret: 1', 'Other: 2'),
  stripped('what two Connections name', 'Connection: x-one', 'Connection: x-two', 'X-One: 1', 'X-Two: 2'),
  stripped('what Connection names and nobody sends', 'Connection: x-vcc-caller, x-nothing'),
  stripped('an empty Connection', 'Connection: ,, ,'),
  stripped('TE', 'TE: trailers, gzip'),
  stripped('Trailer', 'Trailer: X-VCC-Caller'),
  stripped('Keep-Alive', 'Keep-Alive: timeout=99999'),
  stripped('Proxy-Connection', 'Proxy-Connection: keep-alive'),
  stripped('Proxy-Authorization', 'Proxy-Authorization: Basic eA=='),
  stripped('Proxy-Authenticate', 'Proxy-Authenticate: Basic'),
  refused('Connection: host', get('/hop', 'Connection: host')),
  refused('Connection: content-length', post(['Connection: content-length', 'Content-Length: 4'], `body${SMUGGLED}`)),
  {
    name: 'Connection: transfer-encoding',
    send: post(['Connection: transfer-encoding', 'Transfer-Encoding: chunked'], '4\r\nbody\r\n0\r\n\r\n'),
    arrives: [{ as: 'POST /post', body: 'body' }],
  },
  refused('Connection: authorization', get('/hop', 'Connection: authorization', 'Authorization: Bearer x')),
  refused('Connection: cookie', get('/hop', 'Connection: cookie', 'Cookie: a=b')),
  // Host
  refused('two hosts', head('GET / HTTP/1.1', 'Host: covina', 'Host: argus', 'Connection: close')),
  refused('the same host twice', head('GET / HTTP/1.1', 'Host: covina', 'Host: covina', 'Connection: close')),
  refused('no host', head('GET / HTTP/1.1', 'Connection: close')),
  refused('a host after a space', head('GET / HTTP/1.1', 'Host : covina', 'Connection: close')),
  refused('a list of hosts', head('GET / HTTP/1.1', 'Host: covina, argus', 'Connection: close')),
  refused('a host with a path', head('GET / HTTP/1.1', 'Host: covina/admin', 'Connection: close')),
  refused('a host with a user', head('GET / HTTP/1.1', 'Host: argus@covina', 'Connection: close')),
  refused('a host with a space', head('GET / HTTP/1.1', 'Host: covina argus', 'Connection: close')),
  {
    name: 'a host with a port',
    send: head('GET /host HTTP/1.1', 'Host: covina:8443', 'Connection: close'),
    arrives: [{ as: 'GET /host', headers: [['host', 'covina:8443']] }],
  },
  {
    name: 'an IPv6 host',
    send: head('GET /host HTTP/1.1', 'Host: [::1]:8443', 'Connection: close'),
    arrives: [{ as: 'GET /host', headers: [['host', '[::1]:8443']] }],
  },
  {
    name: 'an empty host',
    send: head('GET /host HTTP/1.1', 'Host:', 'Connection: close'),
    arrives: [{ as: 'GET /host', headers: [['host', '']] }],
  },
  // Underscores are not letters of an identity alone
  {
    name: 'an underscore elsewhere',
    send: get('/underscore', 'X_Request_Id: 1'),
    arrives: [{ as: 'GET /underscore', headers: [HOST, ['x_request_id', '1']] }],
  },
]
