import { type Child, RuntimeError, startChild, withDeadline } from '@vcc/runtime'
import { KeyError } from '../error.ts'
import { readFrames, writeFrame } from './frame.ts'
import {
  type Answer,
  type Asked,
  type Operation,
  parseAnswer,
  parseReply,
  type Reply,
  type Request,
  SIGNER_FAULTS,
  type SignerFaultCode,
  type TokenFacts,
} from './message.ts'

/** What the signer process said instead of an answer, or that it is gone. */
export class SignerFault extends Error {
  override readonly name = 'SignerFault'
  readonly code: SignerFaultCode
  /** Whether the token may have done what was asked. */
  readonly began: boolean

  constructor(code: SignerFaultCode, detail: string, began: boolean) {
    super(detail)
    this.code = code
    this.began = began
  }
}

export interface SignerProcess {
  readonly pid: number
  readonly token: TokenFacts
  /** Not more at a time than `token.sessions`. @throws {SignerFault} */
  readonly call: <Op extends Operation>(request: Request<Op>) => Promise<Answer<Op>>
  /** Resolves with the reason when it has ended, or says that its token is gone. */
  readonly gone: Promise<string>
  /** At once, whatever its threads are at. */
  readonly kill: () => void
  /** Lets it close the module; kills it after two seconds. */
  readonly end: () => Promise<void>
}

const MAIN = new URL('./signer/main.ts', import.meta.url)
/** A network HSM may take its time to be reached. */
const OPEN_DEADLINE_MS = 30_000
const END_DEADLINE_MS = 2000

/**
 * Starts a signer process and opens the token in it. The PIN goes through the channel: never into argv or environment.
 *
 * @throws {KeyError} `hsm_module_unusable`, `hsm_token_missing`, `hsm_token_ambiguous`, `hsm_pin_refused`,
 *   `hsm_pin_locked`, `hsm_unavailable`
 */
export async function startSignerProcess(
  open: Omit<Request<'open'>, 'op'>,
  variables: Readonly<Record<string, string>>,
): Promise<SignerProcess> {
  // Each session signs in a thread of the pool, and one is left for Node's own work.
  const child = startChild(MAIN, { ...variables, UV_THREADPOOL_SIZE: String(open.sessions + 1) })
  const connected = connect(child)
  try {
    const token = await withDeadline(
      connected.call<'open'>({ op: 'open', ...open }),
      OPEN_DEADLINE_MS,
      'signer process',
    )
    return { ...connected, token }
  } catch (cause) {
    connected.kill()
    if (cause instanceof SignerFault) throw startFailure(cause, open)
    if (cause instanceof RuntimeError) {
      throw new KeyError('hsm_unavailable', 'the token does not answer', { cause })
    }
    throw cause
  }
}

function connect({ process: child, channel }: Child): Omit<SignerProcess, 'token'> {
  const waiting = new Map<number, { op: Operation; resolve: (answer: unknown) => void; reject: (why: Error) => void }>()
  const gone = Promise.withResolvers<string>()
  const ended = Promise.withResolvers<void>()
  let nextId = 1
  let end: string | undefined
  const finish = (why: string) => {
    end ??= why
    gone.resolve(why)
    for (const { reject } of waiting.values()) reject(new SignerFault('lost', why, true))
    waiting.clear()
  }
  const kill = () => void child.kill('SIGKILL')

  let broken: string | undefined
  child.once('error', (error) => finish(`it could not be started: ${error.message}`))
  child.once('exit', (code, signal) => {
    finish(broken ?? `it ended ${signal === null ? `with ${code}` : `by ${signal}`}`)
    ended.resolve()
  })
  channel.once('error', (error: Error) => {
    if (error instanceof TypeError) broken = error.message // ours; others only say that the process has ended
  })
  channel.once('close', kill)
  readFrames(channel, (value) => {
    const reply = parseReply(value)
    if ('lost' in reply) return gone.resolve(reply.lost)
    const asked = waiting.get(reply.id)
    waiting.delete(reply.id)
    if (asked !== undefined) settle(reply, asked)
  })

  return {
    pid: child.pid ?? 0,
    gone: gone.promise,
    kill,
    call<Op extends Operation>(request: Request<Op>) {
      const { promise, resolve, reject } = Promise.withResolvers<Answer<Op>>()
      if (end !== undefined) {
        reject(new SignerFault('lost', end, false))
        return promise
      }
      const id = nextId++
      // Checked against the shape of this operation's answer before it is taken for one.
      waiting.set(id, { op: request.op, resolve: (answer) => resolve(answer as Answer<Op>), reject })
      writeFrame(channel, { id, request } satisfies Asked)
      return promise
    },
    async end() {
      channel.end()
      const late = setTimeout(kill, END_DEADLINE_MS)
      if (end === undefined) await ended.promise
      clearTimeout(late)
    },
  }
}

function settle(
  reply: Exclude<Reply, { lost: string }>,
  { op, resolve, reject }: { op: Operation; resolve: (answer: unknown) => void; reject: (why: Error) => void },
): void {
  if ('answer' in reply) return resolve(parseAnswer(op, reply.answer))
  const { code, detail, began } = reply.fault
  reject(new SignerFault(code, detail, began))
}

function startFailure(fault: SignerFault, { label, serial, module }: Omit<Request<'open'>, 'op'>): KeyError {
  const code = SIGNER_FAULTS[fault.code]
  const token = [label === null ? [] : [`labelled "${label}"`], serial === null ? [] : [`with serial ${serial}`]]
  const asked = `the token ${token.flat().join(' and ')}`
  const texts: Partial<Record<SignerFaultCode, readonly [message: string, hint: string]>> = {
    module_unusable: [`the PKCS#11 module ${module} cannot be used`, 'check keys.hsm.module'],
    token_missing: [`${asked} is not there`, 'check keys.hsm.token; pkcs11-tool --list-token-slots shows what is'],
    token_ambiguous: [`there are several like ${asked}`, 'name its serial number in keys.hsm.serial'],
    pin_refused: [`${asked} refuses the PIN; it is not tried again`, 'correct the file named by keys.hsm.pin_file'],
    pin_locked: [`${asked} has locked its PIN, or would with the next wrong one`, 'log in once by hand, or unlock it'],
  }
  const [message, hint] = texts[fault.code] ?? [`${asked} cannot be opened`, 'see the log for what the module said']
  return new KeyError(code, `${message} (${fault.message})`, { cause: fault, hint })
}
