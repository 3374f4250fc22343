import { viewDer } from './der/reader.ts'
import { encodeDer, sequence } from './der/writer.ts'
import type { Name } from './name.ts'
import { readName } from './name.ts'

/**
 * A text that two names share exactly if they are the same distinguished name: RDN by RDN, attributes of one RDN in any
 * order, values of text types prepared, so that case, insignificant spaces and the string type do not tell them apart.
 * Values without text (TeletexString, UniversalString) are compared as bytes.
 *
 * Source: RFC 5280 §7.1, RFC 4518 §2. Characters that RFC 4518 §2.4 prohibits are kept instead of failing the match.
 */
export function preparedName(name: Name): string {
  return name.rdns.map(preparedRdn).join('+')
}

export function samePreparedName(a: Name, b: Name): boolean {
  return a.rdns.length === b.rdns.length && preparedName(a) === preparedName(b)
}

/** The same for one RelativeDistinguishedName in DER. */
export function preparedRdn(rdnDer: Uint8Array): string {
  const { attributes } = readName(viewDer(encodeDer(sequence(rdnDer))))
  const prepared = attributes.map(({ oid, value, isRaw }) =>
    JSON.stringify(isRaw ? [oid, 'raw', value] : [oid, fold(value)]),
  )
  return prepared.toSorted().join(',')
}

function fold(value: string): string {
  return value
    .replace(MAPPED_TO_SPACE, ' ')
    .replace(MAPPED_TO_NOTHING, '')
    .normalize('NFKC')
    .toLowerCase()
    .normalize('NFKC')
    .replace(/ +/g, ' ')
    .replace(/^ | $/g, '')
}

/** RFC 4518 §2.2: white space first, then what has no width or only controls. */
const MAPPED_TO_SPACE = /[\t-\r\u0085\p{Z}]/gu
const MAPPED_TO_NOTHING = /\p{Cc}|\p{Cf}|\p{Variation_Selector}|\u034f|\u1806|\ufffc/gu
