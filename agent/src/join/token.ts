import { readSecretText, readStdin } from '@vcc/runtime'
import { AgentError } from '../errors.ts'

/**
 * The join token from a file that only its owner may read, or from standard input. Never from the command line, which
 * every user of the machine can see.
 *
 * @throws {AgentError} `join_token_missing`, `join_token_invalid`
 */
export async function readJoinToken(
  from: { readonly file: string | undefined; readonly isTerminal: boolean },
  signal?: AbortSignal,
): Promise<string> {
  if (from.file === undefined && from.isTerminal) {
    throw new AgentError('join_token_missing', 'there is no join token')
  }
  const text =
    from.file === undefined
      ? (await readStdin(MAX_BYTES, signal === undefined ? {} : { signal })).toString('utf8').trim()
      : await readSecretText(from.file, { maxBytes: MAX_BYTES })
  if (TOKEN.test(text)) return text
  throw new AgentError(text === '' ? 'join_token_missing' : 'join_token_invalid', 'what was given is not a join token')
}

const TOKEN = /^[A-Za-z0-9_-]{20,200}$/
const MAX_BYTES = 1024
