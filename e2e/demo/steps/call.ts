export interface SeenRequest {
  readonly service: string
  readonly headers: readonly (readonly [string, string])[]
}

export interface Refusal {
  readonly code?: string
  readonly rule?: string
  readonly side?: string
  readonly detail?: string
}

export interface Answer {
  readonly status: number
  readonly body: SeenRequest & Refusal
}

/** Calls as a service would: plain HTTP to its own agent's port. */
export async function call(url: string): Promise<Answer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) })
  return { status: response.status, body: (await response.json()) as Answer['body'] }
}

/** The identity header that the callee's agent set; exactly one, or it is an error. */
export function callerSeen(seen: SeenRequest): string {
  const values = seen.headers.filter(([name]) => name === 'x-vcc-caller').map(([, value]) => value)
  if (values.length !== 1) throw new Error(`the service saw ${values.length} x-vcc-caller headers`)
  return values[0] ?? ''
}
