import { describe, expect, test } from 'vitest'
import { requestInPath } from './get-request.ts'

/** Octets whose base64 has `+`, `/`, `//` and padding: MP//+/8+ (and 0= at the end). */
const octets = Uint8Array.fromHex('30fffffbff3ed0')
const base64 = Buffer.from(octets).toString('base64')

describe('ocsp-B GET+POST', () => {
  test('the sample has everything that is difficult', () => {
    expect(base64).toBe('MP//+/8+0A==')
  })

  test.each([
    ['as it is', `/${base64}`],
    ['escaped as it should be', `/${encodeURIComponent(base64)}`],
    ['with %2B for plus', `/${base64.replaceAll('+', '%2B')}`],
    ['with %2b for plus', `/${base64.replaceAll('+', '%2b')}`],
    ['with %20 for a plus that was taken for a space', `/${base64.replaceAll('+', '%20')}`],
    ['with %2F for slashes', `/${base64.replaceAll('/', '%2F')}`],
    ['with one slash too many before it', `//${base64}`],
    ['with an escaped slash too many before it', `/%2F${base64}`],
    ['without the slash before it', base64],
    ['with = escaped', `/${base64.replaceAll('=', '%3D')}`],
    ['all of it escaped', `/${base64.replace(/./g, (each) => `%${each.charCodeAt(0).toString(16)}`)}`],
  ])('a request is read: %s', (_name, path) => {
    expect(requestInPath(path)).toEqual(Buffer.from(octets))
  })

  test.each([
    ['nothing', '/'],
    ['the alphabet for URLs', `/${Buffer.from(octets).toString('base64url')}`],
    ['the alphabet for URLs, padded', `/${base64.replaceAll('/', '_').replaceAll('+', '-')}`],
    ['without its padding', `/${base64.replaceAll('=', '')}`],
    ['with too much padding', `/${base64}=`],
    ['padding in the middle', '/MA==MAAA'],
    ['a query', `/${base64}?a`],
    ['a fragment', `/${base64}#a`],
    ['escapes that are none', '/MP%zz'],
    ['escapes that are not UTF-8', '/MP%ff'],
    ['an escape twice', `/${encodeURIComponent(encodeURIComponent(base64))}`],
    ['a path', `/../${base64}`],
    ['two slashes too many', `///${base64}`],
    ['a line end', `/${base64}\n`],
    ['zero', '/MP\0\0'],
    ['not ASCII', '/MPÄÄ'],
  ])('there is no request in %s', (_name, path) => {
    expect(requestInPath(path)).toBeUndefined()
  })
})
