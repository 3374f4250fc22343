import { expect, test } from 'vitest'
import { fakeClock } from './clock.ts'
import { freePorts } from './port.ts'

test('ports asked for together are distinct', async () => {
  expect(new Set(await freePorts(20)).size).toBe(20)
})

test('a fake clock moves when it is told to', () => {
  const clock = fakeClock(new Date('2026-01-01T00:00:00Z'))
  clock.advance(90)
  expect(clock.now().toISOString()).toBe('2026-01-01T00:01:30.000Z')
  clock.advance(-30)
  expect(clock.now().toISOString()).toBe('2026-01-01T00:01:00.000Z')
})
