import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decodeCertificate } from './certificate.ts'
import { X509Error } from './errors.ts'
import { OID } from './oid.ts'
import { validateChain } from './path/validate.ts'
import { decodePem } from './pem.ts'

/** Vectors made by others are not part of the project; without them these tests are skipped, and shown as skipped. */
const FOLDER = process.env['VCC_VECTORS'] ?? join(import.meta.dirname, '../../../../shared/vectors')
const isThere = existsSync(FOLDER)
const readVectors = (name: string): unknown => JSON.parse(readFileSync(join(FOLDER, name), 'utf8'))

interface Limbo {
  readonly testcases: readonly {
    readonly id: string
    readonly trusted_certs: readonly string[]
    readonly untrusted_intermediates: readonly string[]
    readonly peer_certificate: string
    readonly validation_time: string | null
    readonly expected_result: 'SUCCESS' | 'FAILURE'
  }[]
}

/** Cases that ought to fail and do not, because what they are about is not asked here. */
const NOT_OURS: readonly { readonly id: RegExp; readonly reason: string }[] = [
  { id: /^crl::/, reason: 'revocation is not checked by a path' },
  { id: /::(san|cn)::/, reason: 'the peer is matched by its URI, not by DNS name' },
  { id: /::(aki|ski)::/, reason: 'key identifiers help to find paths (RFC 5280 §4.2.1.1) and decide nothing' },
  { id: /nc::permitted-dns-match-noncritical$/, reason: 'name constraints hold, critical or not' },
  { id: /nc::not-allowed-in-ee/, reason: 'name constraints of a leaf constrain nothing' },
  { id: /eku::root-has-eku$/, reason: 'a trust anchor may limit its usages' },
]

/** Cases that ought to pass and do not, because the mesh is stricter. */
const STRICTER: readonly { readonly code: string; readonly reason: string }[] = [
  { code: 'eku_not_granted', reason: 'every CA names the usages it vouches for' },
  { code: 'eku_missing', reason: 'a leaf names its usages' },
  { code: 'issuer_key_usage', reason: 'a CA has keyUsage' },
  { code: 'leaf_is_a_ca', reason: 'a CA is no peer' },
  { code: 'key_rsa_size', reason: 'RSA below 3072 bits' },
]

describe.skipIf(!isThere)('x509-limbo', () => {
  const cases = isThere ? (readVectors('x509-limbo.json') as Limbo).testcases : []
  const failing = cases.filter(({ expected_result }) => expected_result === 'FAILURE')
  const passing = cases.filter(({ expected_result }) => expected_result === 'SUCCESS')

  test.each(failing)('$id is refused', (limbo) => {
    if (NOT_OURS.some(({ id }) => id.test(limbo.id))) return
    expect(tryOrders(limbo)).not.toContain(undefined)
  })

  test.each(passing)('$id is taken, or refused for a rule of the mesh', (limbo) => {
    const seen = tryOrders(limbo)
    expect(seen.includes(undefined) || STRICTER.some(({ code }) => seen.includes(code))).toBe(true)
  })
})

/** Validates every order of at most three intermediates, since a path is not searched for; the code of each refusal. */
function tryOrders(limbo: Limbo['testcases'][number]): (string | undefined)[] {
  const der = (pem: string): Uint8Array => decodePem(pem, 'CERTIFICATE')[0] ?? new Uint8Array()
  const anchors = limbo.trusted_certs.flatMap((pem) => {
    try {
      return [decodeCertificate(der(pem))]
    } catch (error) {
      if (error instanceof X509Error) return []
      throw error
    }
  })
  const options = { anchors, at: new Date(limbo.validation_time ?? '2024-06-01T00:00:00Z'), eku: OID.serverAuth }
  return ordersOf(limbo.untrusted_intermediates.map(der).slice(0, 5), 3).map((order) => {
    try {
      validateChain([der(limbo.peer_certificate), ...order], options)
      return undefined
    } catch (error) {
      if (error instanceof X509Error) return error.code
      throw error
    }
  })
}

function ordersOf<T>(items: readonly T[], most: number): T[][] {
  if (most === 0) return [[]]
  return [[], ...items.flatMap((item, i) => ordersOf(items.toSpliced(i, 1), most - 1).map((rest) => [item, ...rest]))]
}
