import type { SignatureAlgorithmName } from './algorithm.ts'
import { encodeAlgorithm } from './algorithm.ts'
import { contextConstructed } from './der/tag.ts'
import { encodeTime } from './der/time.ts'
import type { Der } from './der/writer.ts'
import { bitString, constructed, encodeDer, integer, sequence } from './der/writer.ts'
import type { Name } from './name.ts'

/** The fields of a TBSCertificate, version 3. */
export interface TbsFields {
  /** Big-endian magnitude. */
  readonly serial: Uint8Array
  readonly algorithm: SignatureAlgorithmName
  readonly issuer: Name
  readonly subject: Name
  readonly notBefore: Date
  readonly notAfter: Date
  readonly spkiDer: Uint8Array
  /** Finished Extension values in the order they are to stand; none leaves the field out. */
  readonly extensions: readonly Der[]
}

/**
 * Writes the fields as they are. Holds to **no** rule of what a certificate may say: that is `buildTbs`, the only way to
 * a `Tbs`.
 */
export function encodeTbsFields(fields: TbsFields): Uint8Array {
  return encodeDer(
    sequence(
      VERSION_3,
      integer(fields.serial),
      encodeAlgorithm(fields.algorithm),
      fields.issuer.der,
      sequence(encodeTime(fields.notBefore), encodeTime(fields.notAfter)),
      fields.subject.der,
      fields.spkiDer,
      fields.extensions.length === 0 ? undefined : constructed(contextConstructed(3), sequence(...fields.extensions)),
    ),
  )
}

/** The SIGNED form of X.509: data, algorithm, signature. Verifies nothing. */
export function encodeSigned(
  dataDer: Uint8Array,
  algorithm: SignatureAlgorithmName,
  signature: Uint8Array,
): Uint8Array {
  return encodeDer(sequence(dataDer, encodeAlgorithm(algorithm), bitString(signature)))
}

const VERSION_3 = encodeDer(constructed(contextConstructed(0), integer(2)))
