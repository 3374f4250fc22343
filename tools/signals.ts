export interface Interruption {
  readonly signal: AbortSignal
  /** 128 + the signal's number (130 for Ctrl-C), or undefined if nobody interrupted. */
  exitCode(): number | undefined
}

const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/** Turns SIGINT, SIGTERM and SIGHUP into one abort, so that whoever runs children can end them first. */
export function abortOnSignals(): Interruption {
  const controller = new AbortController()
  let code: number | undefined
  for (const [name, number] of Object.entries(NUMBERS)) {
    process.on(name, () => {
      code ??= 128 + number
      controller.abort()
    })
  }
  return { signal: controller.signal, exitCode: () => code }
}
