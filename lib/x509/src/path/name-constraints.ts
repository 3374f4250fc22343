import type { TbsCertificate } from '../certificate.ts'
import { X509Error } from '../errors.ts'
import type { NameConstraints } from '../extension/model.ts'
import type { GeneralName } from '../general-name.ts'
import { nameValues } from '../name.ts'
import { OID } from '../oid.ts'
import { isWithin } from './constraint.ts'

/** What may be spent on comparing names: about 10 ms. */
export interface NameBudget {
  comparisonsLeft: number
}

export function nameBudget(): NameBudget {
  return { comparisonsLeft: 20_000 }
}

/**
 * Refuses a certificate with a name outside what its issuers permit. For the issuing side, before signing; a path
 * checks the same for itself.
 *
 * @param issuers Certificates of the CA and of those above it, in any order.
 * @throws {X509Error} `name_not_permitted`, `name_excluded`, `name_unsupported`, `name_constraint_unsupported`,
 *   `path_budget_exceeded`.
 */
export function assertNamesPermitted(
  issuers: readonly Pick<TbsCertificate, 'extensions'>[],
  certificate: Pick<TbsCertificate, 'subject' | 'extensions'>,
): void {
  const budget = nameBudget()
  for (const { extensions } of issuers) {
    if (extensions.nameConstraints !== undefined) checkNames(certificate, extensions.nameConstraints, budget)
  }
}

/** Subject and every subject alternative name against one set of constraints; excluded beats permitted. */
export function checkNames(
  certificate: Pick<TbsCertificate, 'subject' | 'extensions'>,
  { permitted, excluded }: NameConstraints,
  budget: NameBudget,
): void {
  // "the application MUST either process the constraint or reject the certificate": RFC 5280 §4.2.1.10
  if ([...permitted, ...excluded].some((base) => base.type === 'other')) {
    throw new X509Error('name_constraint_unsupported', 'a CA constrains names of a form that is not supported')
  }
  for (const name of namesOf(certificate)) {
    const sameForm = permitted.filter((base) => base.type === name.type)
    const against = excluded.filter((base) => base.type === name.type)
    budget.comparisonsLeft -= sameForm.length + against.length + 1
    if (budget.comparisonsLeft < 0) {
      throw new X509Error('path_budget_exceeded', 'the path has too many names and name constraints')
    }
    // "Any name matching a restriction in the excludedSubtrees field is invalid regardless of information appearing in
    // the permittedSubtrees": RFC 5280 §4.2.1.10. No `some` on the permitted ones before all were understood.
    const isExcluded = against.map((base) => isWithin(name, base, 'excluded')).includes(true)
    const isPermitted = sameForm.map((base) => isWithin(name, base, 'permitted')).includes(true)
    if (isExcluded) throw new X509Error('name_excluded', `a CA excludes the name ${describe(name)}`)
    if (sameForm.length > 0 && !isPermitted) {
      throw new X509Error('name_not_permitted', `no CA permits the name ${describe(name)}`)
    }
  }
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
