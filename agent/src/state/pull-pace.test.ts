import { fakeClock } from '@vcc/testkit'
import { expect, test } from 'vitest'
import { pullPace } from './pull-pace.ts'

const START = new Date('2026-11-23T12:00:00Z')

function paced() {
  const clock = fakeClock(START)
  const pace = pullPace({ now: clock.now, random: () => 0.5 })
  const waitMs = () => pace.asked().getTime() - clock.now().getTime()
  const fruitless = (count: number) => {
    for (let i = 0; i < count; i += 1) {
      pace.asked()
      pace.pulled(false)
    }
  }
  return { clock, pace, waitMs, fruitless }
}

test('the first pull that is asked for is prompt, after a day of scheduled ones too', () => {
  const { pace, waitMs } = paced()
  expect(waitMs()).toBe(100)
  pace.pulled(true)
  for (let i = 0; i < 1440; i += 1) pace.pulled(false)
  expect(waitMs()).toBe(100)
})

test('a broker that asks without end gets ten pulls in the first minute, then one a minute', () => {
  const { clock, pace } = paced()
  const at: number[] = []
  while (clock.now().getTime() < START.getTime() + 3_600_000) {
    clock.set(pace.asked())
    at.push(clock.now().getTime() - START.getTime())
    pace.pulled(false)
  }
  expect(at.filter((ms) => ms < 60_000).length).toBeLessThanOrEqual(10)
  expect(at.length).toBeLessThanOrEqual(70)
})

test('a pull that brings something makes the next one prompt again', () => {
  const { pace, waitMs, fruitless } = paced()
  fruitless(8)
  expect(waitMs()).toBe(25_600)
  pace.pulled(true)
  expect(waitMs()).toBe(100)
})

test('the wait counts from the last pull, and from now when the clock was set back', () => {
  const { clock, waitMs, fruitless } = paced()
  fruitless(20)
  expect(waitMs()).toBe(60_000)
  clock.advance(59)
  expect(waitMs()).toBe(1000)
  clock.advance(-3600)
  expect(waitMs()).toBe(60_000)
})
