import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { environment } from './host.ts'
import { notifySystemd } from './notify.ts'

test('without a socket nothing is told', async () => {
  expect(await notifySystemd('ready', { PATH: environment()['PATH'] })).toBe(false)
  expect(await notifySystemd('ready', { NOTIFY_SOCKET: '' })).toBe(false)
})

test('a socket that is not there, or no systemd at all, is no failure of the service', async () => {
  expect(await notifySystemd('ready', { PATH: environment()['PATH'], NOTIFY_SOCKET: '/nonexistent/notify' })).toBe(
    false,
  )
  expect(await notifySystemd('ready', { PATH: '/nonexistent', NOTIFY_SOCKET: '/nonexistent/notify' })).toBe(false)
})

// Node has no datagram sockets in the file system, so Python plays systemd.
const SYSTEMD = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.settimeout(10)
print('bound', flush=True)
for _ in range(2): print(s.recv(4096).decode().split('\\n')[0], flush=True)
`

const hasSystemd = await once(spawn('systemd-notify', ['--version'], { stdio: 'ignore' }), 'exit').then(
  () => true,
  () => false,
)

test.skipIf(!hasSystemd)('systemd learns ready and stopping', async () => {
  const path = join(await mkdtemp(join(tmpdir(), 'vcc-notify-')), 'socket')
  const systemd = spawn('python3', ['-c', SYSTEMD, path], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 15_000 })
  let received = ''
  systemd.stdout.on('data', (chunk) => {
    received += String(chunk)
  })
  const closed = once(systemd, 'close')
  await once(systemd.stdout, 'data')
  const env = { PATH: environment()['PATH'], NOTIFY_SOCKET: path }
  expect(await notifySystemd('ready', env)).toBe(true)
  expect(await notifySystemd('stopping', env)).toBe(true)
  await closed
  expect(received).toBe('bound\nREADY=1\nSTOPPING=1\n')
})
