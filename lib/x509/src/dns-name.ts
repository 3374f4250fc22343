/**
 * A host name as certificates of ours write it: lower-case letters, digits and inner hyphens, labels of 1 to 63
 * characters, at most 253 in all, no trailing dot, no wildcard, and not an IPv4 address in dots.
 */
export function isDnsName(name: string): boolean {
  return name.length <= 253 && LABELS.test(name) && !ENDS_IN_DIGITS.test(name)
}

const LABELS = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/
const ENDS_IN_DIGITS = /(?:^|\.)[0-9]+$/
