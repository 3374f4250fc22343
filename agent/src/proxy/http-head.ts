import type { IncomingMessage } from 'node:http'
import type { Refusal } from './refusal.ts'

/** A request head as it goes on: canonical path, end-to-end headers only, nothing that looks like an identity. */
export interface RequestHead {
  readonly method: string
  readonly path: string
  /** Name, value, name, value. */
  readonly headers: string[]
  /** Whether content follows, and how it was framed is settled. */
  readonly hasBody: boolean
}

export type HeadResult =
  | { readonly ok: true; readonly head: RequestHead }
  | { readonly ok: false; readonly refusal: Refusal }

/**
 * Checks the head of a request and rebuilds it for the next hop.
 *
 * node:http's parser has refused by then: obs-fold, a bare CR, several or malformed Content-Length. This adds what it
 * lets pass: Content-Length beside Transfer-Encoding, any transfer coding but `chunked`, more or less than one Host, a
 * Host that is none, a path that is not canonical, Connection naming what frames the message.
 *
 * Source: RFC 9112 §3.2, §6.1, §6.3; RFC 9110 §7.6.1.
 */
export function checkRequestHead(request: IncomingMessage): HeadResult {
  const { rawHeaders: raw, httpVersion } = request
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return refuse('request_malformed')
  let hosts = 0
  let host = ''
  let contentLength: string | undefined
  let transferCoding: string | undefined
  let upgrade: string | undefined
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const value = raw[i + 1] ?? ''
    switch (raw[i]?.toLowerCase() ?? '') {
      case 'host':
        hosts += 1
        host = value
        break
      case 'content-length':
        if (contentLength !== undefined) return refuse('framing_ambiguous')
        contentLength = value
        break
      case 'transfer-encoding':
        if (transferCoding !== undefined) return refuse('framing_ambiguous')
        transferCoding = value
        break
      case 'upgrade':
        upgrade = value
        break
      default:
    }
  }
  if (hosts > 1 || (hosts === 0 && httpVersion !== '1.0')) return refuse('host_ambiguous')
  // "A server MUST respond with a 400 … to any request message that contains … a Host header field with an invalid
  // field value": RFC 9112 §3.2
  if (!HOST.test(host)) return refuse('host_invalid')
  if (transferCoding !== undefined) {
    // "A server MAY reject a request that contains both Content-Length and Transfer-Encoding": RFC 9112 §6.1
    if (contentLength !== undefined || httpVersion === '1.0') return refuse('framing_ambiguous')
    if (transferCoding.toLowerCase() !== 'chunked') return refuse('framing_ambiguous')
  }
  // A server may ignore Upgrade (RFC 9110 §7.8). Clients that merely offer h2c expect that; others need the upgrade.
  if (upgrade !== undefined && upgrade.toLowerCase() !== 'h2c') return refuse('upgrade_refused')
  const named = namedByConnection(raw)
  if ([...named].some((name) => FRAMING.has(name))) return refuse('request_malformed')
  const path = canonicalPath(request.url ?? '', request.method)
  if (path === undefined) return refuse('path_not_canonical')
  const headers = endToEnd(raw, named)
  if (hosts === 0) headers.push('host', '')
  const hasBody = transferCoding !== undefined || (contentLength !== undefined && contentLength !== '0')
  return { ok: true, head: { method: request.method ?? '', path, headers, hasBody } }
}

/**
 * The headers of a message that go on to the next hop, both ways: without hop-by-hop fields, without whatever Connection
 * names, without anything that could pass for an identity or, behind an interface that shows `_` as `-`, for what frames
 * the message.
 *
 * @param raw  Name, value, name, value.
 */
export function endToEnd(raw: readonly string[], named: ReadonlySet<string> = namedByConnection(raw)): string[] {
  const kept: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name, value] = [raw[i], raw[i + 1]]
    if (name === undefined || value === undefined) continue
    const lower = name.toLowerCase()
    if (HOP_BY_HOP.has(lower) || named.has(lower) || isIdentityHeader(lower) || isDisguised(lower)) continue
    kept.push(name, value)
  }
  return kept
}

/**
 * Whether a message is in no transfer coding but `chunked`, said once: what is framed anew loses the name of its coding,
 * and what was coded twice would arrive coded once and called plain (RFC 9112 §6.1).
 *
 * @param raw  Name, value, name, value.
 */
export function isCodedPlainly(raw: readonly string[]): boolean {
  const codings = raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === 'transfer-encoding')
  return codings.length === 0 || (codings.length === 1 && codings[0]?.trim().toLowerCase() === 'chunked')
}

/**
 * Whether a header could be taken for who the caller is. `_` counts as `-`: CGI-like interfaces show both the same way.
 *
 * @param lower  The name in lower case.
 */
export function isIdentityHeader(lower: string): boolean {
  const name = lower.includes('_') ? lower.replaceAll('_', '-') : lower
  return IDENTITY_NAMES.has(name) || IDENTITY_PREFIXES.some((prefix) => name.startsWith(prefix))
}

/** `Content_Length` and the like: no header of HTTP, but taken for one by CGI, WSGI and whatever is built on them. */
function isDisguised(lower: string): boolean {
  if (!lower.includes('_')) return false
  const name = lower.replaceAll('_', '-')
  return FRAMING.has(name) || HOP_BY_HOP.has(name)
}

/**
 * The canonical form of a request target, or `undefined` for one that has none: not in origin form, with a dot segment,
 * an empty segment, an encoded slash, backslash or NUL, a fragment, a malformed escape. The canonical form writes
 * unreserved characters plainly and escapes with capital digits (RFC 3986 §6.2.2); the query is left as it is.
 */
function canonicalPath(target: string, method: string | undefined): string | undefined {
  if (target === '*') return undefined
  if (!target.startsWith('/') || method === 'CONNECT') return undefined
  if (!PRINTABLE.test(target)) return undefined
  const question = target.indexOf('?')
  const path = question < 0 ? target : target.slice(0, question)
  if (!path.includes('%') && !SUSPICIOUS.test(path)) return target
  if (path.includes('\\') || BAD_ESCAPE.test(path)) return undefined
  const canonical = path.replaceAll(ESCAPE, (escape, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16))
    return UNRESERVED.test(character) ? character : escape.toUpperCase()
  })
  if (FORBIDDEN_ESCAPE.test(canonical) || SUSPICIOUS.test(canonical)) return undefined
  return question < 0 ? canonical : canonical + target.slice(question)
}

function namedByConnection(raw: readonly string[]): ReadonlySet<string> {
  let named: Set<string> | undefined
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.toLowerCase() !== 'connection') continue
    for (const token of raw[i + 1]?.split(',') ?? []) {
      const name = token.trim().toLowerCase()
      if (name === '' || name === 'close' || name === 'keep-alive') continue
      named ??= new Set()
      named.add(name)
    }
  }
  return named ?? NONE
}

function refuse(code: Refusal['code']): HeadResult {
  return { ok: false, refusal: { code, rule: 'http' } }
}

const NONE: ReadonlySet<string> = new Set()
/** `expect` is answered here; `te` and `trailer` concern one hop. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'http2-settings',
])
const FRAMING: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'authorization',
  'cookie',
])
const IDENTITY_NAMES: ReadonlySet<string> = new Set([
  'l5d-client-id',
  'x-client-dn',
  'x-client-verify',
  'x-forwarded-tls-client-cert',
])
const IDENTITY_PREFIXES = [
  'x-vcc-',
  'x-forwarded-client-cert',
  'x-forwarded-tls-client-cert',
  'x-client-cert',
  'client-cert',
  'x-ssl-client',
  'ssl-client',
  'x-spiffe',
  'spiffe-',
  'x-amzn-mtls-clientcert',
  'x-arr-clientcert',
] as const
/**
 * `uri-host [ ":" port ]` (RFC 9110 §7.2); empty where the target has no authority. Without the comma, which the grammar
 * allows in a name: some would read two hosts.
 */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+;=-]*)(?::\d{0,5})?$/
const PRINTABLE = /^[!"$-~]*$/
/** An empty segment, a dot segment; also one with parameters, which servlet containers drop before they resolve it. */
const SUSPICIOUS = /\/\/|\/\.{1,2}(?:[/;]|$)|\\/
const BAD_ESCAPE = /%(?![0-9a-fA-F]{2})/
const ESCAPE = /%([0-9a-fA-F]{2})/g
const UNRESERVED = /^[A-Za-z0-9._~-]$/
/** NUL, slash, backslash, and an encoded percent, which a second decoding would turn into any of them, in either case. */
const FORBIDDEN_ESCAPE = /%(?:00|2F|5C|252F|255C|2500|252E)/i
