import {
  assertKeyOnlyCsr,
  decodeCertificate,
  decodeCrl,
  decodeForeignCertificate,
  decodeOcspRequest,
  decodePem,
  decodePublicKey,
  encodePem,
  findPath,
  formatName,
  OID,
  uriIdentityOf,
  validateChain,
  verifyCsr,
  verifyOcspResponse,
  X509_FAILURES,
  X509Error,
} from '@vcc/x509'
import { AT, derOf, readCorpus } from '../corpus.ts'
import { mutateDer } from '../mutate/der.ts'
import { mutateText } from '../mutate/text.ts'
import { assertOriginal, judge, type Target } from '../target.ts'

const X509 = { error: X509Error, codes: X509_FAILURES }
const hexOf = (der: Uint8Array): string => Buffer.from(der).toString('hex')
const setOf = (list: readonly Uint8Array[]): ReadonlySet<string> => new Set(list.map(hexOf))

export const X509_TARGETS: readonly Target[] = [
  {
    name: 'public-key',
    prepare() {
      const keys = readCorpus().certificates.map((one) => decodeCertificate(derOf(one)).publicKey.spkiDer)
      return (random, note) => {
        const der = mutateDer(keys, random)
        note(der)
        return judge(() => decodePublicKey(der).keyObject, X509)
      }
    },
  },
  {
    name: 'pem',
    prepare() {
      const pem = readCorpus().certificates.map((one) => encodePem('CERTIFICATE', derOf(one)))
      return (random, note) => {
        const text = mutateText([...pem, pem.join('')], PEM_WORDS, random)
        note(text)
        return judge(() => decodePem(text, 'CERTIFICATE').map(decodeCertificate), X509)
      }
    },
  },
  {
    name: 'certificate',
    prepare() {
      const certificates = readCorpus().certificates.map(derOf)
      return (random, note) => {
        const der = mutateDer(certificates, random)
        note(der)
        return judge(() => {
          const certificate = decodeCertificate(der)
          formatName(certificate.subject)
          return [certificate.publicKey.keyObject, certificate.publicKey.subjectKeyId, uriIdentityOf(certificate)]
        }, X509)
      }
    },
  },
  {
    name: 'chain',
    prepare() {
      const corpus = readCorpus()
      const [leaf = new Uint8Array(), ca = new Uint8Array()] = corpus.chain.map(derOf)
      const all = corpus.certificates.map(derOf)
      const options = { anchors: [decodeCertificate(derOf(corpus.rsaRoot))], at: AT, eku: OID.clientAuth }
      validateChain([leaf, ca], options)
      const originals = setOf([Buffer.concat([leaf, ca])])
      return (random, note) => {
        const shown = [leaf, ca].map((der) => (random.oneIn(2) ? mutateDer([der], random) : der))
        if (random.oneIn(8)) shown.splice(random.int(3), random.int(2), mutateDer(all, random))
        if (random.oneIn(16)) shown.reverse()
        note(Buffer.concat(shown))
        return judge(() => {
          const path = validateChain(shown, options)
          assertOriginal(hexOf(Buffer.concat(path.chain.map(({ der }) => der))), originals)
        }, X509)
      }
    },
  },
  {
    name: 'path',
    prepare() {
      const corpus = readCorpus()
      const chain = corpus.chain.map(derOf)
      const all = corpus.certificates.map(derOf)
      const crls = corpus.crls.map(derOf)
      const anchors = [decodeForeignCertificate(derOf(corpus.rsaRoot))]
      const originals = setOf(chain)
      return (random, note) => {
        const shown = chain.map((der) => (random.oneIn(3) ? mutateDer([der], random) : der))
        const [leaf = new Uint8Array(), ...intermediates] = shown
        for (let left = random.int(4); left > 0; left--) intermediates.push(mutateDer([...chain, ...all], random))
        const lists = crls.map((der) => (random.oneIn(2) ? mutateDer([der], random) : der))
        note(Buffer.concat([...shown, ...intermediates, ...lists]))
        return judge(() => {
          const profile = random.pick(['rfc5280-path', 'rfc5280', 'webpki'] as const)
          const options = {
            profile,
            anchors,
            intermediates,
            at: AT,
            ...(random.oneIn(2) ? { crls: lists } : {}),
          } as const
          for (const { der } of findPath(leaf, options).chain) assertOriginal(hexOf(der), originals)
        }, X509)
      }
    },
  },
  {
    name: 'crl',
    prepare() {
      const crls = readCorpus().crls.map(derOf)
      return (random, note) => {
        const der = mutateDer(crls, random)
        note(der)
        return judge(() => decodeCrl(der), X509)
      }
    },
  },
  {
    name: 'csr',
    prepare() {
      const csrs = readCorpus().csrs.map(derOf)
      const originals = setOf(csrs)
      return (random, note) => {
        const der = mutateDer(csrs, random)
        note(der)
        return judge(() => {
          const csr = verifyCsr(der)
          assertOriginal(hexOf(csr.der), originals)
          assertKeyOnlyCsr(csr)
        }, X509)
      }
    },
  },
  {
    name: 'ocsp-request',
    prepare() {
      const requests = readCorpus().ocspRequests.map(derOf)
      return (random, note) => {
        const der = mutateDer(requests, random)
        note(der)
        return judge(() => decodeOcspRequest(der), X509)
      }
    },
  },
  {
    name: 'ocsp-response',
    prepare() {
      const corpus = readCorpus()
      const responses = corpus.ocspResponses.map(derOf)
      const [certificate, issuer] = corpus.chain.map((one) => decodeCertificate(derOf(one)))
      if (certificate === undefined || issuer === undefined) throw new TypeError('no chain')
      const originals = setOf(responses)
      return (random, note) => {
        const der = mutateDer(responses, random)
        note(der)
        return judge(() => {
          verifyOcspResponse(der, { certificate, issuer, at: AT })
          assertOriginal(hexOf(der), originals)
        }, X509)
      }
    },
  },
]

const PEM_WORDS = [
  '-----BEGIN CERTIFICATE-----\n',
  '-----END CERTIFICATE-----\n',
  '-----BEGIN PRIVATE KEY-----',
  '-----',
  '=',
  '====',
  '\r\n',
  '\n',
  ' ',
  '\u0000',
  'MII',
  'Proc-Type: 4,ENCRYPTED\n',
  '\ud83d',
] as const
