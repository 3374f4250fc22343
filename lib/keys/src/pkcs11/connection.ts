import { createHash } from 'node:crypto'
import { backoffMs, RuntimeError } from '@vcc/runtime'
import { KeyError, type KeyFailure } from '../error.ts'
import { type Answer, type Operation, type Request, SIGNER_FAULTS, type TokenFacts } from './message.ts'
import { type Entry, RequestQueue } from './request-queue.ts'
import { SignerFault, type SignerProcess, startSignerProcess } from './signer-process.ts'

/** Which token, and how it is used. */
export interface Pkcs11Options {
  /** Path of the vendor's PKCS#11 module. */
  readonly module: string
  /** Variables that the module wants, beside those of this process. */
  readonly environment?: Readonly<Record<string, string>> | undefined
  /** What stands on the token; one of the two at least. Slot numbers change and are not asked for. */
  readonly label?: string | undefined
  readonly serial?: string | undefined
  /** Asked for at each start of the signer process. */
  readonly readPin: () => Promise<string>
  /** Operations at a time, 1 to 64: what the device does in parallel. */
  readonly sessions: number
  /** Requests that may wait; further ones are refused with `hsm_busy`. */
  readonly queue: number
  /** How long a request may wait for its turn; and how long the token may take for it before its process is replaced. */
  readonly timeoutMs: number
  readonly keepAliveMs: number
}

export interface Pkcs11Events {
  readonly started: (fact: { pid: number; token: TokenFacts }) => void
  /** A process is of no use any more: it ended, hangs, or lost its token. */
  readonly lost: (fact: { pid: number; why: string }) => void
  /** The breaker opened, or it stays open for another reason. */
  readonly unavailable: (failure: KeyError) => void
  readonly operation: (fact: { operation: Operation; outcome: KeyFailure | 'ok'; seconds: number }) => void
}

export interface ConnectionStatus {
  /** Whether requests are let through: all, one at a time on trial, or none. */
  readonly breaker: 'closed' | 'half_open' | 'open'
  readonly token: TokenFacts | undefined
  /** Of the signer process, while there is one that serves. */
  readonly pid: number | undefined
  readonly failure: KeyError | undefined
  readonly underWay: number
  readonly waiting: number
  /** Signer processes started after the first. */
  readonly restarts: number
}

type Phase =
  | { readonly name: 'starting' }
  | { readonly name: 'ready'; readonly child: SignerProcess }
  /** It has lost its token; what it still answers, it answers. */
  | { readonly name: 'retiring'; readonly child: SignerProcess; readonly why: string; readonly kill: NodeJS.Timeout }
  /** Until the next attempt. */
  | { readonly name: 'waiting'; readonly timer: NodeJS.Timeout }
  | { readonly name: 'closed' }

/**
 * The token, through a signer process that is replaced whenever it is of no use: after a crash, a hang, a lost session,
 * device or login. A new process is the only way back, so that there is one, and it works after everything.
 *
 * Requests wait in a bounded queue, each with its deadline; at most one per session is under way. The first loss is
 * made good at once, and who waits does not notice. When that fails, the breaker opens: requests are refused without
 * waiting, until a new process has opened the token; then they are let through one at a time, until one succeeds.
 */
export class TokenConnection implements AsyncDisposable {
  readonly #options: Pkcs11Options
  readonly #events: Pkcs11Events
  readonly #queue: RequestQueue
  readonly #underWay = new Set<Entry>()
  #phase: Phase = { name: 'starting' }
  #token: TokenFacts | undefined
  /** Set while the breaker is not closed. */
  #failure: KeyError | undefined
  /** Losses and failed starts since the last answer. */
  #losses = 0
  /** Operations that failed one after another, on a token that seems to be there. */
  #failed = 0
  #restarts = 0
  #refusedPin: string | undefined

  private constructor(options: Pkcs11Options, events: Pkcs11Events) {
    this.#options = options
    this.#events = events
    this.#queue = new RequestQueue(options.queue)
  }

  /** @throws {KeyError} when the token cannot be opened now; what `readPin` throws. It is not tried again then. */
  static async open(options: Pkcs11Options, events: Pkcs11Events): Promise<TokenConnection> {
    await options.readPin()
    const connection = new TokenConnection(options, events)
    await connection.#start()
    const failure = connection.#failure
    if (failure === undefined) return connection
    await connection[Symbol.asyncDispose]()
    throw failure
  }

  /**
   * @throws {KeyError} `signer_deadline` when the signal aborts, or the request's turn does not come in time;
   *   `hsm_busy`, `hsm_unavailable` and the other codes of `SIGNER_FAULTS`
   */
  async call<Op extends Operation>(
    request: Request<Op>,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<Answer<Op>> {
    const since = performance.now()
    const report = (outcome: KeyFailure | 'ok') =>
      this.#events.operation({ operation: request.op, outcome, seconds: (performance.now() - since) / 1000 })
    try {
      this.#assertOpen()
      const answer = this.#queue.add(request, { ...options, timeoutMs: this.#options.timeoutMs })
      this.#pump()
      const given = await answer
      report('ok')
      return given
    } catch (error) {
      report(error instanceof KeyError ? error.code : 'signer_failed')
      throw error
    }
  }

  status(): ConnectionStatus {
    const serves = this.#phase.name === 'ready'
    return {
      breaker: this.#failure === undefined ? 'closed' : serves ? 'half_open' : 'open',
      token: this.#token,
      pid: this.#phase.name === 'ready' ? this.#phase.child.pid : undefined,
      failure: this.#failure,
      underWay: this.#underWay.size,
      waiting: this.#queue.length,
      restarts: this.#restarts,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const phase = this.#phase
    this.#phase = { name: 'closed' }
    this.#failure = new KeyError('hsm_unavailable', 'the key store is closed')
    this.#queue.refuseAll(this.#failure)
    if (phase.name === 'waiting') clearTimeout(phase.timer)
    if (phase.name === 'retiring') clearTimeout(phase.kill)
    if (phase.name === 'ready' || phase.name === 'retiring') await phase.child.end()
  }

  async #start(): Promise<void> {
    this.#phase = { name: 'starting' }
    try {
      const child = await this.#startProcess()
      if (this.#isClosed()) {
        await child.end()
        return
      }
      this.#phase = { name: 'ready', child }
      this.#token = child.token
      this.#failed = 0
      this.#events.started({ pid: child.pid, token: child.token })
      void child.gone.then((why) => this.#onGone(child, why))
      this.#pump()
    } catch (cause) {
      const why = cause instanceof RuntimeError ? ` (${cause.message})` : ''
      const unknown = () => new KeyError('hsm_unavailable', `the signer process cannot be started${why}`, { cause })
      if (!this.#isClosed()) this.#openBreaker(cause instanceof KeyError ? cause : unknown())
    }
  }

  /** A PIN that was refused is never tried again: tokens lock after a few. Another one in its file is. */
  async #startProcess(): Promise<SignerProcess> {
    const { module, label = null, serial = null, sessions, keepAliveMs, readPin, environment = {} } = this.#options
    const pin = await readPin()
    if (this.#refusedPin === digestOf(pin) && this.#failure !== undefined) throw this.#failure
    try {
      return await startSignerProcess({ module, label, serial, pin, sessions, keepAliveMs }, environment)
    } catch (error) {
      if (error instanceof KeyError && error.code === 'hsm_pin_refused') this.#refusedPin = digestOf(pin)
      throw error
    }
  }

  #onGone(child: SignerProcess, why: string): void {
    if (this.#phase.name !== 'ready' || this.#phase.child !== child) return
    this.#events.lost({ pid: child.pid, why })
    this.#losses += 1
    this.#phase = { name: 'retiring', child, why, kill: setTimeout(child.kill, RETIRE_MS) }
    this.#pump()
  }

  #replace({ child, why, kill }: Extract<Phase, { name: 'retiring' }>): void {
    clearTimeout(kill)
    child.kill()
    if (this.#losses > 1) return this.#openBreaker(new KeyError('hsm_unavailable', `the token was lost: ${why}`))
    this.#restarts += 1
    void this.#start()
  }

  /** Who waits is refused, and so is who comes, until an attempt succeeds; each one after a longer time. */
  #openBreaker(failure: KeyError): void {
    if (this.#failure?.code !== failure.code) this.#events.unavailable(failure)
    this.#failure = failure
    this.#queue.refuseAll(failure)
    this.#losses += 1
    const timer = setTimeout(
      () => {
        this.#restarts += 1
        void this.#start()
      },
      backoffMs(this.#losses - 1, BACKOFF),
    )
    this.#phase = { name: 'waiting', timer }
  }

  #assertOpen(): void {
    if (this.#failure === undefined || this.#phase.name === 'ready') return
    const { code, message, hint } = this.#failure
    throw new KeyError(code, message, { cause: this.#failure, hint })
  }

  /** Lets through what the sessions can do; one at a time while the breaker is half open. */
  #pump(): void {
    while (this.#phase.name === 'ready') {
      const { child } = this.#phase
      if (this.#underWay.size >= (this.#failure === undefined ? child.token.sessions : 1)) return
      const entry = this.#queue.take()
      if (entry === undefined) return
      void this.#perform(entry, child)
    }
    if (this.#phase.name === 'retiring' && this.#underWay.size === 0) this.#replace(this.#phase)
  }

  async #perform(entry: Entry, child: SignerProcess): Promise<void> {
    this.#underWay.add(entry)
    const limitMs = this.#limitMs(entry.request)
    const hangs = setTimeout(() => {
      this.#onGone(child, `the token did not answer within ${limitMs} ms`)
      child.kill()
    }, limitMs)
    try {
      const answer = await child.call(entry.request)
      this.#onAnswer()
      entry.settle({ answer })
    } catch (error) {
      this.#onFault(entry, child, error instanceof SignerFault ? error : new SignerFault('lost', String(error), true))
    } finally {
      clearTimeout(hangs)
      this.#underWay.delete(entry)
      this.#pump()
    }
  }

  #onAnswer(): void {
    this.#losses = 0
    this.#failed = 0
    this.#failure = undefined
  }

  #onFault(entry: Entry, child: SignerProcess, fault: SignerFault): void {
    if (fault.code === 'lost') {
      this.#onGone(child, fault.message)
      if (!fault.began && !this.#isClosed() && this.#queue.putBack(entry)) return
    } else if (fault.code === 'failed') {
      this.#onFailed(child, fault)
    } else {
      this.#onAnswer() // the token works: it said what is wrong with the request
    }
    const error = new KeyError(SIGNER_FAULTS[fault.code], `the token did not do it: ${fault.message}`, { cause: fault })
    entry.settle({ error })
  }

  /** The token is there and does not work. A new process alone has to prove itself, so the breaker opens. */
  #onFailed(child: SignerProcess, fault: SignerFault): void {
    this.#failed += 1
    if (this.#failed < FAILED_IN_A_ROW && this.#failure === undefined) return
    this.#losses = Math.max(1, this.#losses)
    this.#onGone(child, `${this.#failed} operations failed in a row, the last with ${fault.message}`)
  }

  #limitMs({ op }: { readonly op: Operation }): number {
    return op === 'generate' ? GENERATE_MS : this.#options.timeoutMs
  }

  #isClosed(): boolean {
    return this.#phase.name === 'closed'
  }
}

function digestOf(pin: string): string {
  return createHash('sha256').update(pin).digest('hex')
}

/** RSA-4096 takes a smart card minutes. */
const GENERATE_MS = 180_000
/** How long a process that lost its token may go on answering. */
const RETIRE_MS = 1000
const FAILED_IN_A_ROW = 5
const BACKOFF = { baseMs: 250, capMs: 30_000 }
