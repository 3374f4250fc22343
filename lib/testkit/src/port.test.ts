import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { fakeClock } from './clock.ts'
import { freePorts } from './port.ts'

test('no port is named twice, and none that the kernel gives to connections that go out', async () => {
  const ports = [...(await freePorts(20)), ...(await freePorts(20))]
  expect(new Set(ports).size).toBe(40)
  expect(ports.filter((port) => port < 10_240 || port >= 32_768)).toEqual([])
})

test('a port somebody listens on is passed over', async () => {
  const [before = 0] = await freePorts(1)
  const server = createServer()
  server.listen(before + 1, '127.0.0.1')
  await once(server, 'listening').catch(() => 'then somebody else does')
  expect(await freePorts(1)).not.toContain(before + 1)
  server.close()
})

test('a fake clock moves when it is told to', () => {
  const clock = fakeClock(new Date('2026-01-01T00:00:00Z'))
  clock.advance(90)
  expect(clock.now().toISOString()).toBe('2026-01-01T00:01:30.000Z')
  clock.advance(-30)
  expect(clock.now().toISOString()).toBe('2026-01-01T00:01:00.000Z')
})
