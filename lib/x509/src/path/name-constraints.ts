import type { TbsCertificate } from '../certificate.ts'
import { X509Error } from '../errors.ts'
import type { NameConstraints } from '../extension/model.ts'
import type { GeneralName } from '../general-name.ts'
import type { Name } from '../name.ts'
import { nameValues } from '../name.ts'
import { preparedRdn } from '../name-comparison.ts'
import { OID } from '../oid.ts'
import type { Budget } from './budget.ts'
import { freshBudget, spend } from './budget.ts'
import { isWithin } from './constraint.ts'

/**
 * Constraints on a form of names that nothing here compares are refused: all of them, or only where a name of that form is
 * there to be held against them, which is what RFC 5280 §4.2.1.10 asks for.
 */
export type ConstraintForms = 'all-forms' | 'forms-in-use'

/**
 * Refuses a certificate with a name outside what its issuers permit. For the issuing side, before signing; a path
 * checks the same for itself.
 *
 * @param issuers Certificates of the CA and of those above it, in any order.
 * @throws {X509Error} `name_not_permitted`, `name_excluded`, `name_unsupported`, `name_constraint_unsupported`,
 *   `name_budget_exceeded`.
 */
export function assertNamesPermitted(
  issuers: readonly Pick<TbsCertificate, 'extensions'>[],
  certificate: Pick<TbsCertificate, 'subject' | 'extensions'>,
): void {
  const budget = freshBudget()
  for (const { extensions } of issuers) {
    if (extensions.nameConstraints !== undefined)
      checkNames(certificate, extensions.nameConstraints, 'all-forms', budget)
  }
}

/** Subject and every subject alternative name against one set of constraints; excluded beats permitted. */
export function checkNames(
  certificate: Pick<TbsCertificate, 'subject' | 'extensions'>,
  { permitted, excluded }: NameConstraints,
  forms: ConstraintForms,
  budget: Budget,
): void {
  // "the application MUST either process the constraint or reject the certificate": RFC 5280 §4.2.1.10
  if (forms === 'all-forms' && [...permitted, ...excluded].some((base) => base.type === 'other')) {
    throw new X509Error('name_constraint_unsupported', 'a CA constrains names of a form that is not supported')
  }
  const prepare = preparer(budget)
  const permittedByForm = Map.groupBy(permitted, formOf)
  const excludedByForm = Map.groupBy(excluded, formOf)
  for (const name of namesOf(certificate)) {
    const sameForm = permittedByForm.get(formOf(name)) ?? []
    const against = excludedByForm.get(formOf(name)) ?? []
    spend(budget, 'names', sameForm.length + against.length + 1)
    // "Any name matching a restriction in the excludedSubtrees field is invalid regardless of information appearing in
    // the permittedSubtrees": RFC 5280 §4.2.1.10. No `some` on the permitted ones before all were understood.
    const isExcluded = against.map((base) => isWithin(name, base, 'excluded', prepare)).includes(true)
    const isPermitted = sameForm.map((base) => isWithin(name, base, 'permitted', prepare)).includes(true)
    if (isExcluded) throw new X509Error('name_excluded', `a CA excludes the name ${describe(name)}`)
    if (sameForm.length > 0 && !isPermitted) {
      throw new X509Error('name_not_permitted', `no CA permits the name ${describe(name)}`)
    }
  }
}

/** Prepares each name once, for a price by its size. */
function preparer(budget: Budget): (name: Name) => readonly string[] {
  const known = new Map<Name, readonly string[]>()
  return (name) => {
    const found = known.get(name)
    if (found !== undefined) return found
    spend(budget, 'names', Math.ceil(name.der.length / 64))
    const prepared = name.rdns.map(preparedRdn)
    known.set(name, prepared)
    return prepared
  }
}

function formOf(name: GeneralName): string {
  return name.type === 'other' ? `tag ${name.tag}` : name.type
}

function namesOf({ subject, extensions }: Pick<TbsCertificate, 'subject' | 'extensions'>): GeneralName[] {
  // "the subject field … of the certificate [as] directoryName, [and] the emailAddress attribute as rfc822Name": §4.2.1.10
  const fromSubject: GeneralName[] = subject.rdns.length === 0 ? [] : [{ type: 'directory', name: subject }]
  const mailboxes = nameValues(subject, OID.emailAddress).map((value) => ({ type: 'email', value }) as const)
  return [...fromSubject, ...mailboxes, ...(extensions.subjectAltName ?? [])]
}

function describe(name: GeneralName): string {
  switch (name.type) {
    case 'dns':
    case 'uri':
    case 'email':
      return JSON.stringify(name.value.slice(0, 256))
    case 'ip':
      return `of the address ${name.octets.toHex()}`
    case 'directory':
      return 'of its subject'
    case 'other':
      return `of tag ${name.tag}`
    default:
      return name satisfies never
  }
}
