import { BAD_REQUEST, get, head, type RequestCase } from './request-case.ts'

const refused = (target: string, name = target): RequestCase => ({
  name: `target ${name}`,
  send: get(target),
  refused: BAD_REQUEST,
})
const canonical = (target: string, as: string): RequestCase => ({
  name: `target ${target}`,
  send: get(target),
  arrives: [{ as: `GET ${as}` }],
})

/** What is asked for, in forms that two parsers could take for two things. RFC 3986 §6.2.2, RFC 9112 §3.2. */
export const TARGET_CASES: readonly RequestCase[] = [
  ...['/a/../b', '/..', '/../etc/passwd', '/a/..', '/a/./b', '/.', '/a/.', '/./a'].map((target) => refused(target)),
  ...['/%2e%2e/a', '/a/%2E%2e', '/a/.%2e/b', '/a/%2e./b', '/%2e', '/a/%2e/b'].map((target) => refused(target)),
  ...['/a/..;/b', '/a/.;x/b', '/%2e%2e;/a', '/a/..;'].map((target) => refused(target)),
  ...['//', '//a', '/a//b', '/a//', '///etc/passwd', '//argus/a'].map((target) => refused(target)),
  ...['/a%2fb', '/a%2Fb', '/%2f%2fargus', '/a%5cb', '/a%5Cb', '/a\\b', '/\\..\\a', '/a\\..\\b'].map((target) =>
    refused(target),
  ),
  ...['/a%00b', '/%00', '/a%zz', '/a%', '/a%2', '/%u002e%u002e/a'].map((target) => refused(target)),
  ...['/%252e%252e/a', '/a%252fb', '/a%255cb', '/a%2500'].map((target) => refused(target)),
  ...['/a#b', '/a?b#c', '#a', '/#/../a'].map((target) => refused(target)),
  ...['http://covina/a', 'HTTP://covina/a', 'https://argus/a', 'http://argus@covina/a', 'file:///etc/passwd'].map(
    (target) => refused(target),
  ),
  ...['a', '?a', '*', '', 'covina:443', '/a\xe9', '/a b'].map((target) => refused(target, JSON.stringify(target))),
  canonical('/', '/'),
  canonical('/a"b', '/a"b'),
  canonical('/%7euser/%41', '/~user/A'),
  canonical('/caf%c3%a9', '/caf%C3%A9'),
  canonical('/a/..b/...', '/a/..b/...'),
  canonical('/a;x=..', '/a;x=..'),
  canonical('/a?b=../..//%2f%5c', '/a?b=../..//%2f%5c'),
  canonical('/a?b=http://argus/', '/a?b=http://argus/'),
  canonical('/a%20b', '/a%20b'),
  canonical('/a%3fb', '/a%3Fb'),
  canonical('/a%23b', '/a%23b'),
  canonical('/a%0d%0aX-VCC-Caller:%20forged', '/a%0D%0AX-VCC-Caller:%20forged'),
  {
    name: 'an absolute target with another host',
    send: head('GET http://argus/a HTTP/1.1', 'Host: covina', 'Connection: close'),
    refused: BAD_REQUEST,
  },
]
