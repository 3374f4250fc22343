/** The text of an address of 4 or 16 octets: dotted decimal (RFC 3986 §3.2.2), or RFC 5952 §4. */
export function ipText(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.')
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((octets[2 * i] ?? 0) << 8) | (octets[2 * i + 1] ?? 0)).toString(16),
  )
  // "The use of the symbol '::' MUST be used to its maximum capability … the longest run, the first of equal ones": §4.2
  const zeros = groups.map((group) => (group === '0' ? '0' : '.')).join('')
  const longest = (zeros.match(/00+/g) ?? []).reduce((best, run) => (run.length > best.length ? run : best), '')
  if (longest === '') return groups.join(':')
  const start = zeros.indexOf(longest)
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + longest.length).join(':')}`
}
