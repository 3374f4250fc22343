import type { Answer, Caching } from '../answer.ts'

/** Seconds after which a cache has to ask again: what a revocation may take to reach those behind it. */
const MAX_AGE_SECONDS = 60

/** Headers as `writeHead` takes them, names and values in turn: the form that costs least. */
export type FlatHeaders = string[]

export function postHeaders(answer: Answer): FlatHeaders {
  const headers = ['content-type', RESPONSE_TYPE, 'content-length', String(answer.der.length)]
  // An answer to a POST is not kept by caches anyhow; what must not be kept says so.
  if (answer.caching === undefined) headers.push('cache-control', 'no-store')
  return headers
}

/** Source: RFC 9919 §7.2, with a `max-age` that ends before the answer does. */
export function getHeaders(answer: Answer, nowSeconds: number): FlatHeaders {
  const { caching } = answer
  if (caching === undefined) return postHeaders(answer)
  return [
    'content-type',
    RESPONSE_TYPE,
    'content-length',
    String(answer.der.length),
    ...cacheHeaders(caching, nowSeconds),
  ]
}

export function notModifiedHeaders(caching: Caching, nowSeconds: number): FlatHeaders {
  return cacheHeaders(caching, nowSeconds)
}

/** Whether one of the tags in If-None-Match is the answer's (RFC 9110 §13.1.2, weak comparison). */
export function isUnmodified(caching: Caching, ifNoneMatch: string): boolean {
  return ifNoneMatch.split(',').some((given) => {
    const tag = given.trim()
    return tag === '*' || (tag.startsWith('W/') ? tag.slice(2) : tag) === caching.etag
  })
}

function cacheHeaders(caching: Caching, nowSeconds: number): FlatHeaders {
  const maxAge = Math.max(0, Math.min(MAX_AGE_SECONDS, caching.nextUpdateSeconds - nowSeconds - 1))
  return [
    'cache-control',
    `max-age=${maxAge}, public, no-transform, must-revalidate`,
    'etag',
    caching.etag,
    'last-modified',
    caching.lastModified,
    'expires',
    caching.expires,
  ]
}

const RESPONSE_TYPE = 'application/ocsp-response'
