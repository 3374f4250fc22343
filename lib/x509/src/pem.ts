import { X509Error } from './errors.ts'

/** Textual encoding: 64 characters a line, a line feed after each, one at the end (RFC 7468 §2). */
export function encodePem(label: string, der: Uint8Array): string {
  const lines = der.toBase64().match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

/**
 * The DER of every block with this label, in order, at least one and at most 16, from a text of at most 256 KiB. Blocks
 * with other labels and text around blocks are stepped over. Inside a block only Base64 counts: headers are refused.
 *
 * @throws {X509Error} `pem_invalid`; the message never quotes the content.
 */
export function decodePem(text: string, label: string): Uint8Array[] {
  if (text.length > MAX_TEXT) throw new X509Error('pem_invalid', `more than ${MAX_TEXT} characters of PEM`)
  const blocks: Uint8Array[] = []
  let open: { label: string; base64: string } | undefined
  for (const line of text.split(/\r?\n/)) {
    const boundary = BOUNDARY.exec(line.trimEnd())
    if (boundary === null) {
      if (open !== undefined) open.base64 += line.trim()
      continue
    }
    const [, kind, found = ''] = boundary
    if ((kind === 'BEGIN') === (open !== undefined) || (open !== undefined && open.label !== found)) {
      throw new X509Error('pem_invalid', 'PEM boundaries do not pair up')
    }
    if (kind === 'BEGIN') {
      open = { label: found, base64: '' }
    } else {
      if (found === label) blocks.push(fromBase64(open?.base64 ?? ''))
      open = undefined
    }
  }
  if (open !== undefined) throw new X509Error('pem_invalid', 'a PEM block does not end')
  if (blocks.length === 0) throw new X509Error('pem_invalid', `no PEM block "${label}"`)
  if (blocks.length > MAX_BLOCKS) throw new X509Error('pem_invalid', `more than ${MAX_BLOCKS} PEM blocks`)
  return blocks
}

function fromBase64(base64: string): Uint8Array {
  try {
    if (base64.length > 0) return Uint8Array.fromBase64(base64, { lastChunkHandling: 'strict' })
  } catch (cause) {
    throw new X509Error('pem_invalid', 'a PEM block is not Base64', { cause })
  }
  throw new X509Error('pem_invalid', 'a PEM block is empty')
}

const BOUNDARY = /^-----(BEGIN|END) ([A-Z0-9 ]+)-----$/
const MAX_TEXT = 262_144
const MAX_BLOCKS = 16
