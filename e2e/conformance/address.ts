/** The 4 or 16 octets of an IP address that `net.isIP` accepts. */
export function addressOctets(text: string): Uint8Array {
  if (!text.includes(':')) return Uint8Array.from(text.split('.'), Number)
  // The last 32 bits may be written as IPv4 (RFC 4291 §2.2).
  const dotted = text.slice(text.lastIndexOf(':') + 1)
  const last = dotted.includes('.') ? addressOctets(dotted) : undefined
  const plain = last === undefined ? text : text.slice(0, -dotted.length) + groupsOf(last).join(':')
  const [left = [], right] = plain.split('::').map((half) => (half === '' ? [] : half.split(':')))
  const missing = right === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...Array.from({ length: missing }, () => '0'), ...(right ?? [])]
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  )
}

function groupsOf([a = 0, b = 0, c = 0, d = 0]: Uint8Array): string[] {
  return [((a << 8) | b).toString(16), ((c << 8) | d).toString(16)]
}
