import { Agent, request } from 'undici'

export interface Load {
  readonly requests: () => number
  readonly failures: () => readonly string[]
  readonly stop: () => Promise<void>
}

/** Calls each URL without pause from several keep-alive connections until it is stopped. A failure is any answer but 200. */
export function startLoad(urls: readonly string[], workersPerUrl = 2): Load {
  const dispatcher = new Agent({ connections: workersPerUrl, pipelining: 1 })
  const failures: string[] = []
  let requests = 0
  let isRunning = true
  const work = async (url: string) => {
    while (isRunning) {
      try {
        const answer = await request(url, { dispatcher, headersTimeout: 30_000, bodyTimeout: 30_000 })
        const text = await answer.body.text()
        if (answer.statusCode !== 200) failures.push(`${url}: ${answer.statusCode} ${text.slice(0, 200)}`)
      } catch (error) {
        failures.push(`${url}: ${error instanceof Error ? error.message : String(error)}`)
      }
      requests += 1
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
  const workers = urls.flatMap((url) => Array.from({ length: workersPerUrl }, () => work(url)))
  return {
    requests: () => requests,
    failures: () => failures,
    async stop() {
      isRunning = false
      await Promise.all(workers)
      await dispatcher.close()
    },
  }
}
