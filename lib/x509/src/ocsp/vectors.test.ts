import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { X509Failure } from '../errors.ts'
import { refusalOf } from '../testing/refusal.ts'
import { decodeOcspResponse } from './decode-response.ts'
import { decodeOcspRequest } from './request.ts'

/** Messages made by others (python-cryptography's vectors); without them these tests are skipped, and shown as skipped. */
const VECTORS = process.env['VCC_VECTORS'] ?? join(import.meta.dirname, '../../../../../shared/vectors')
const FOLDER = join(VECTORS, 'ocsp')
const read = (name: string): Uint8Array => readFileSync(join(FOLDER, `${name}.der`))

describe.skipIf(!existsSync(FOLDER))('requests of others', () => {
  const SHA1 = { hash: 'sha1', issuerNameHash: expect.anything(), issuerKeyHash: expect.anything() }
  test.each([
    ['ocsp-army.valid-req', { certIds: [{ ...SHA1, serialHex: '0391ad' }], nonce: undefined }],
    ['ocsp-army.revoked-req', { certIds: [{ ...SHA1, serialHex: '0391ae' }] }],
    ['ocsp-army.inapplicable-req', { certIds: [{ ...SHA1, serialHex: '01' }] }],
    [
      'req-sha1',
      { certIds: [{ ...SHA1, serialHex: '98d9e5c0b4c373552df77c5d0f1eb5128e4945f9' }], signature: undefined },
    ],
    ['req-multi-sha1', { certIds: [SHA1, { ...SHA1, serialHex: '98d9e5c0b4c373552df77c5d0f1eb5128e4945f0' }] }],
    ['req-ext-nonce', { nonce: Uint8Array.fromHex('7b805a1d3726b8b84f48d2f8bfd72dfd') }],
    ['req-ext-unknown-oid', { certIds: [{ serialHex: '01af1efbdd5eae0952320b24fe6b5568' }], nonce: undefined }],
    ['req-invalid-hash-alg', { certIds: [{ hash: undefined }] }],
  ])('%s is read', (name, seen) => {
    expect(decodeOcspRequest(read(name))).toMatchObject(seen)
  })

  test('req-duplicate-ext is refused', () => {
    expect(refusalOf(() => decodeOcspRequest(read('req-duplicate-ext')))).toBe('extension_duplicate')
  })
})

describe.skipIf(!existsSync(FOLDER))('responses of others', () => {
  const REVOKED = { status: 'revoked', reason: 'unspecified' }
  test.each([
    [
      'resp-delegate-unknown-cert',
      { singles: [{ status: { status: 'unknown' } }], certificatesDer: [expect.anything()] },
    ],
    ['resp-responder-key-hash', { responder: { by: 'key' }, singles: [{ status: REVOKED }], certificatesDer: [] }],
    ['resp-sha256', { responder: { by: 'name' }, singles: [{ status: { status: 'good' } }] }],
    ['resp-revoked', { singles: [{ status: { ...REVOKED, at: new Date('2016-09-02T21:28:48Z') } }] }],
    ['resp-revoked-no-next-update', { singles: [{ status: REVOKED, nextUpdate: undefined }] }],
    [
      'resp-revoked-reason',
      {
        producedAt: new Date('2018-09-01T19:48:17Z'),
        singles: [{ status: { status: 'revoked', reason: 'superseded', at: new Date('2018-06-27T12:30:01Z') } }],
        nonce: Uint8Array.fromHex('3595379f610383878972578fae99f722'),
      },
    ],
    ['resp-sct-extension', { singles: [{ status: { status: 'good' } }] }],
    ['resp-single-extension-reason', { singles: [{ status: { status: 'good' } }] }],
    ['resp-unknown-extension', { singles: [{ status: { reason: 'superseded' } }], nonce: undefined }],
    ['resp-unknown-hash-alg', { singles: [{ certId: { hash: undefined } }] }],
    ['resp-unauthorized', { status: 'unauthorized' }],
  ])('%s is read', (name, seen) => {
    expect(decodeOcspResponse(read(name))).toMatchObject(seen)
  })

  test.each<[string, X509Failure]>([
    ['resp-response-type-unknown-oid', 'ocsp_response_type'],
    ['resp-successful-no-response-bytes', 'ocsp_response_type'],
    ['resp-unknown-response-status', 'ocsp_response_status'],
    ['resp-invalid-signature-oid', 'algorithm_unsupported'], // MD2
    ['ocsp-army.deps.mil-resp', 'algorithm_unsupported'], // SHA-1
  ])('%s is refused', (name, code) => {
    expect(refusalOf(() => decodeOcspResponse(read(name)))).toBe(code)
  })
})
