import { request } from 'node:http'
import { AgentError } from '../errors.ts'

const ANSWER_BYTES = 4 * 1024 * 1024
const TIMEOUT_MS = 15_000

/**
 * Asks a running agent over its admin socket.
 * @throws {AgentError} `agent_unreachable`, `admin_answer_invalid`, `admin_request_invalid`
 */
export async function askAgent(
  socketPath: string,
  route: string,
  body?: object,
  timeoutMs = TIMEOUT_MS,
): Promise<unknown> {
  const [method = 'GET', path = '/'] = route.split(' ')
  const { status, text } = await exchange(socketPath, method, path, body, timeoutMs)
  const answer = parse(text)
  if (status === 200) return answer
  const { message = `it answered with status ${status}`, hint } = answer as { message?: string; hint?: string }
  if (status === 400) throw new AgentError('admin_request_invalid', message, { hint })
  throw new AgentError('admin_answer_invalid', `the agent failed: ${message}`, { hint: 'its log says why' })
}

function exchange(socketPath: string, method: string, path: string, body: object | undefined, timeoutMs: number) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const unreachable = (cause: Error) =>
      reject(new AgentError('agent_unreachable', `no agent answers on ${socketPath}`, { cause }))
    const sent = request({ socketPath, method, path, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size > ANSWER_BYTES) response.destroy(new Error('the answer is too large'))
      })
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      )
      response.on('error', unreachable)
    })
    sent.on('error', unreachable)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AgentError('admin_answer_invalid', 'the answer of the agent is not JSON', { cause })
  }
}
