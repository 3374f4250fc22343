import { expect, test } from 'vitest'
import { createSchedule, every, type Job } from './schedule.ts'
import { sleep } from './wait.ts'

/** A wall clock that can be set, running on. */
function settableClock(start = '2026-11-23T00:00:00Z') {
  let offset = Date.parse(start) - Date.now()
  return {
    now: () => new Date(Date.now() + offset),
    move: (ms: number) => {
      offset += ms
    },
  }
}

function counting(overrides: Partial<Job> & Pick<Job, 'first'>): Job & { runs: number } {
  const job: Job & { runs: number } = {
    name: 'job',
    next: () => undefined,
    timeoutMs: 1000,
    runs: 0,
    run: async () => {
      job.runs++
    },
    ...overrides,
  }
  return job
}

const failOn = (name: string, error: unknown) => {
  throw new Error(`${name} failed`, { cause: error })
}

test('an instant that has passed runs at once, then as often as next says', async () => {
  await using schedule = createSchedule({ onFailure: failOn })
  const job = counting({ first: new Date(0), next: every(10) })
  schedule.add(job)
  await sleep(100)
  expect(job.runs).toBeGreaterThan(3)
})

test('an instant 60 days ahead does not run now', async () => {
  const clock = settableClock()
  await using schedule = createSchedule({ onFailure: failOn, clock, tickMs: 5 })
  const job = counting({ first: new Date(clock.now().getTime() + 60 * 86_400_000) })
  schedule.add(job)
  await sleep(40)
  expect(job.runs).toBe(0)
  clock.move(60 * 86_400_000) // the machine slept, or somebody set the clock
  await sleep(40)
  expect(job.runs).toBe(1)
})

test('a clock set back a year does not delay a job by a year', async () => {
  const clock = settableClock()
  await using schedule = createSchedule({ onFailure: failOn, clock, tickMs: 5 })
  const job = counting({ first: new Date(clock.now().getTime() + 60) })
  schedule.add(job)
  await sleep(20)
  clock.move(-365 * 86_400_000)
  await sleep(100)
  expect(job.runs).toBe(1)
})

test('a clock set back while nothing was planned does not hurry the next job', async () => {
  const clock = settableClock()
  await using schedule = createSchedule({ onFailure: failOn, clock, tickMs: 5 })
  clock.move(-365 * 86_400_000)
  const job = counting({ first: new Date(clock.now().getTime() + 60_000) })
  schedule.add(job)
  await sleep(30)
  expect(job.runs).toBe(0)
})

test('a job never runs twice at a time', async () => {
  await using schedule = createSchedule({ onFailure: failOn })
  let together = 0
  let most = 0
  const job = counting({
    first: new Date(0),
    next: () => new Date(0),
    run: async () => {
      most = Math.max(most, ++together)
      await sleep(5)
      together--
    },
  })
  const planned = schedule.add(job)
  for (let index = 0; index < 10; index++) {
    planned.moveTo(new Date(0))
    await sleep(2)
  }
  expect(most).toBe(1)
})

test('a failure is told and the job goes on', async () => {
  const failures: unknown[] = []
  await using schedule = createSchedule({ onFailure: (name, error) => failures.push([name, error]) })
  const job = counting({
    first: new Date(0),
    next: every(5),
    run: async () => {
      throw new Error('down')
    },
  })
  schedule.add(job)
  await sleep(60)
  expect(failures.length).toBeGreaterThan(1)
  expect(failures[0]).toEqual(['job', new Error('down')])
})

test('a run past its time is aborted and counts as failed', async () => {
  const failures: unknown[] = []
  await using schedule = createSchedule({ onFailure: (_name, error) => failures.push(error) })
  schedule.add(counting({ first: new Date(0), timeoutMs: 10, run: (signal) => sleep(60_000, signal) }))
  await sleep(40)
  expect(failures).toEqual([expect.objectContaining({ code: 'deadline_exceeded' })])
})

test('a run that ignores its abort is told as failed at once, and not doubled', async () => {
  const failures: unknown[] = []
  await using schedule = createSchedule({ onFailure: (_name, error) => failures.push(error) })
  const stuck = Promise.withResolvers<void>()
  const job = counting({ first: new Date(0), next: () => new Date(0), timeoutMs: 10 })
  schedule.add({
    ...job,
    run: async () => {
      job.runs++
      await stuck.promise
    },
  })
  await sleep(50)
  expect([job.runs, failures.length]).toEqual([1, 1])
  stuck.resolve()
})

test('a cancelled job does not run; a moved one runs when told', async () => {
  await using schedule = createSchedule({ onFailure: failOn })
  const cancelled = counting({ first: new Date(Date.now() + 10) })
  const moved = counting({ first: new Date(Date.now() + 3_600_000) })
  schedule.add(cancelled).cancel()
  const planned = schedule.add(moved)
  planned.moveTo(new Date(Date.now() + 10))
  await sleep(50)
  expect([cancelled.runs, moved.runs, planned.due]).toEqual([0, 1, undefined])
})

test('the end aborts what runs, waits for it, and starts nothing more', async () => {
  let ended = false
  const schedule = createSchedule({ onFailure: failOn })
  schedule.add(
    counting({
      first: new Date(0),
      next: () => new Date(0),
      run: async (signal) => {
        await sleep(60_000, signal).catch(() => {})
        await sleep(10)
        ended = true
      },
    }),
  )
  await sleep(10)
  await schedule[Symbol.asyncDispose]()
  expect(ended).toBe(true)
  expect(() => schedule.add(counting({ first: new Date(0) }))).toThrow()
})
