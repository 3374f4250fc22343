import type { IncomingMessage, ServerResponse } from 'node:http'
import { MAX_OCSP_REQUEST_OCTETS } from '@vcc/x509'
import type { Answer } from '../answer.ts'
import { errorAnswer, latin1Of } from '../answer.ts'
import type { Responder } from '../responder.ts'
import { MAX_GET_CHARACTERS, requestInPath } from './get-request.ts'
import { type FlatHeaders, getHeaders, isUnmodified, notModifiedHeaders, postHeaders } from './headers.ts'

export interface OcspHttpDeps {
  readonly responder: Pick<Responder, 'respond'>
  readonly now: () => Date
  /** Path of the responder, without a slash at its end; `/ocsp` when absent. */
  readonly path?: string
}

export type OcspListener = (request: IncomingMessage, response: ServerResponse) => void

/**
 * OCSP over HTTP (RFC 6960 appendix A, RFC 9919 §6) as a listener of `node:http`. Whatever can be read as OCSP is answered 200,
 * OCSP errors too; HTTP's own faults are 405, 413, 414 and 415.
 *
 * Whoever makes the server bounds how long a request may take (`headersTimeout`, `requestTimeout`), and gives it only requests
 * for `path` and below.
 */
export function ocspListener({ responder, now, path = '/ocsp' }: OcspHttpDeps): OcspListener {
  const nowSeconds = (): number => Math.floor(now().getTime() / 1000)

  function respond(requestDer: Uint8Array, send: (answer: Answer) => void): void {
    const answer = responder.respond(requestDer)
    if (answer instanceof Promise) void answer.then(send)
    else send(answer)
  }

  function get(request: IncomingMessage, response: ServerResponse): void {
    const below = (request.url ?? '').slice(path.length)
    if (below.length > MAX_GET_CHARACTERS) return fault(response, 414)
    // Monitors and people look whether somebody is there.
    if (below === '' || below === '/') return void response.writeHead(200, ALIVE).end()
    const requestDer = requestInPath(below)
    const send = (answer: Answer): void => sendGet(request, response, answer, nowSeconds())
    if (requestDer === undefined || requestDer.length > MAX_OCSP_REQUEST_OCTETS) send(errorAnswer('malformedRequest'))
    else respond(requestDer, send)
  }

  function post(request: IncomingMessage, response: ServerResponse): void {
    if (!isOcspRequest(headerOf(request, 'content-type'))) return fault(response, 415)
    if (Number(headerOf(request, 'content-length') ?? 0) > MAX_OCSP_REQUEST_OCTETS) return fault(response, 413)
    readBody(request, (body) => {
      if (body === 'too large') return fault(response, 413)
      respond(body, (answer) => sendAnswer(response, postHeaders(answer), answer))
    })
  }

  return (request, response) => {
    if (request.method === 'POST') post(request, response)
    else if (request.method === 'GET') get(request, response)
    else fault(response, 405)
  }
}

function isOcspRequest(contentType: string | undefined): boolean {
  if (contentType === REQUEST_TYPE) return true
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() === REQUEST_TYPE
}

/** The whole body, mostly one chunk. A connection that breaks off leaves nobody to answer. */
function readBody(request: IncomingMessage, done: (body: Uint8Array | 'too large') => void): void {
  let chunks: Buffer[] | undefined
  let first: Buffer | undefined
  let octets = 0
  request.on('data', (chunk: Buffer) => {
    octets += chunk.length
    if (octets > MAX_OCSP_REQUEST_OCTETS) {
      request.removeAllListeners('data').removeAllListeners('end').resume()
      done('too large')
    } else if (first === undefined) first = chunk
    else (chunks ??= [first]).push(chunk)
  })
  request.on('end', () => done(chunks === undefined ? (first ?? EMPTY) : Buffer.concat(chunks)))
}

function sendGet(request: IncomingMessage, response: ServerResponse, answer: Answer, nowSeconds: number): void {
  const ifNoneMatch = headerOf(request, 'if-none-match')
  const { caching } = answer
  if (caching !== undefined && ifNoneMatch !== undefined && isUnmodified(caching, ifNoneMatch)) {
    response.writeHead(304, notModifiedHeaders(caching, nowSeconds)).end()
  } else sendAnswer(response, getHeaders(answer, nowSeconds), answer)
}

function sendAnswer(response: ServerResponse, headers: FlatHeaders, { der, caching }: Answer): void {
  response.writeHead(200, headers)
  response.end(caching?.latin1 ?? latin1Of(der), 'latin1')
}

/** The first header of this name, in small letters; without making an object of all of them, as `request.headers` does. */
function headerOf({ rawHeaders }: IncomingMessage, name: string): string | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i]
    if (given?.length === name.length && given.toLowerCase() === name) return rawHeaders[i + 1]
  }
  return undefined
}

/** What is left of a request that is not read would be taken for the next one, so the connection ends. */
function fault(response: ServerResponse, status: keyof typeof FAULTS): void {
  const body = `${FAULTS[status]}\n`
  const headers = ['content-type', 'text/plain; charset=utf-8', 'content-length', String(body.length)]
  headers.push('cache-control', 'no-store', 'connection', 'close')
  if (status === 405) headers.push('allow', 'GET, POST')
  response.writeHead(status, headers).end(body)
}

const FAULTS = {
  405: 'OCSP requests are sent by GET or POST',
  413: `an OCSP request has at most ${MAX_OCSP_REQUEST_OCTETS} octets`,
  414: `the path of an OCSP request has at most ${MAX_GET_CHARACTERS} characters`,
  415: 'the content type of an OCSP request is application/ocsp-request',
} as const

const REQUEST_TYPE = 'application/ocsp-request'
const EMPTY = new Uint8Array()
const ALIVE: FlatHeaders = ['content-length', '0', 'cache-control', 'max-age=43200']
