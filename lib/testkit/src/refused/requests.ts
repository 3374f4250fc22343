import { assertKeyOnlyCsr, der, encodeAlgorithm, encodeName, verifyCsr } from '@vcc/x509'
import { testSigner } from '../key.ts'
import { casesOf, commonName, constructed, encodeDer, hex, integer, sequence } from './forge.ts'

const signer = testSigner('api')
const attribute = hex('300c 06032a0304 3105 0403 010203')

/** A request of these parts, signed by the key inside. */
function request(parts: {
  version?: number
  subject?: Uint8Array
  attributes?: readonly Uint8Array[]
  algorithm?: Uint8Array
  isSigned?: boolean
}): Uint8Array {
  const { version = 0, subject = encodeName([]).der, attributes = [], isSigned = true } = parts
  const info = encodeDer(
    sequence(integer(version), subject, signer.publicKey.spkiDer, constructed(0xa0, ...attributes)),
  )
  const signature = signer.signNow(isSigned ? info : new Uint8Array())
  return encodeDer(sequence(info, parts.algorithm ?? encodeAlgorithm(signer.algorithm), der.bitString(signature)))
}

/** Requests for certificates. */
export const REFUSED_REQUESTS = casesOf({
  csr_version: () => verifyCsr(request({ version: 1 })),
  csr_algorithm_refused: () => verifyCsr(request({ algorithm: hex('3009 06072a8648ce3d0401') })),
  csr_signature_invalid: () => verifyCsr(request({ isSigned: false })),
  csr_attribute_duplicate: () => verifyCsr(request({ attributes: [attribute, attribute] })),
  csr_names_refused: () => assertKeyOnlyCsr(verifyCsr(request({ subject: commonName('argus').der }))),
})

export const ACCEPTED_REQUESTS = { 'a request for a key': () => assertKeyOnlyCsr(verifyCsr(request({}))) }
