import type { ForeignCertificate } from '../certificate.ts'
import { decodeForeignCertificate, peekNames } from '../certificate.ts'
import { sameBytes } from '../der/reader.ts'
import { X509Error } from '../errors.ts'
import { preparedName } from '../name-comparison.ts'

/** A certificate as path building sees it. `subject` and `issuer` are prepared names. */
export interface PathNode {
  readonly certificate: ForeignCertificate
  readonly subject: string
  readonly issuer: string
  readonly isAnchor: boolean
}

/** Certificates by subject. What cannot be read stands for nothing; the first reason is kept. */
export interface Pool {
  /** Anchors first. */
  named(subject: string): readonly PathNode[]
  unreadable(): X509Error | undefined
}

export function pathNode(certificate: ForeignCertificate, isAnchor: boolean): PathNode {
  const { subject, issuer } = certificate
  return { certificate, subject: preparedName(subject), issuer: preparedName(issuer), isAnchor }
}

/**
 * Sorts what came in, in any order. Only names are read at first: certificates that no path leads through are never decoded
 * whole.
 *
 * @throws {X509Error} `path_budget_exceeded` for more than 256 anchors, 512 others or 4 MiB.
 */
export function certificatePool(anchors: readonly ForeignCertificate[], intermediates: readonly Uint8Array[]): Pool {
  const octets = intermediates.reduce((sum, { length }) => sum + length, 0)
  if (anchors.length > 256 || intermediates.length > 512 || octets > 4 * 1024 * 1024) {
    throw new X509Error('path_budget_exceeded', 'more than 256 anchors, 512 other certificates or 4 MiB of them')
  }
  const refusals: X509Error[] = []
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof X509Error)) throw error
      refusals.push(error)
      return undefined
    }
  }
  const undecoded = new Map<string, Uint8Array[]>()
  for (const der of intermediates) {
    const subject = attempt(() => preparedName(peekNames(der).subject))
    if (subject === undefined) continue
    const others = undecoded.get(subject) ?? []
    if (!others.some((other) => sameBytes(other, der))) undecoded.set(subject, [...others, der])
  }
  const anchorNodes = anchors.map((anchor) => pathNode(anchor, true))
  const decoded = new Map<string, readonly PathNode[]>()
  const decode = (subject: string): readonly PathNode[] => {
    const trusted = anchorNodes.filter((node) => node.subject === subject)
    const others = (undecoded.get(subject) ?? []).flatMap((der) => {
      if (trusted.some(({ certificate }) => sameBytes(certificate.der, der))) return []
      const certificate = attempt(() => decodeForeignCertificate(der))
      return certificate === undefined ? [] : [pathNode(certificate, false)]
    })
    return [...trusted, ...others]
  }
  return {
    named(subject) {
      const found = decoded.get(subject) ?? decode(subject)
      decoded.set(subject, found)
      return found
    },
    unreadable: () => refusals[0],
  }
}
