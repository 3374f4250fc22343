import { eventually, type RunningProcess, run, start } from '../harness/process.ts'

/** A mount namespace, so that disks of a test are nobody else's. What is mounted there lives as long as it. */
export interface MountNamespace extends AsyncDisposable {
  /** Put before a command, it runs inside. */
  readonly inside: readonly string[]
  /** A shell script inside; throws with its output when it fails. */
  readonly script: (text: string, ...args: string[]) => Promise<string>
}

/** Answers why there is none on this machine, where containers and kernels may forbid it. */
export async function newMountNamespace(logFile: string): Promise<MountNamespace | string> {
  let why = ''
  // As root, or as root of a user namespace where everybody may have one.
  for (const rights of [[], ['-U', '-r']]) {
    const probe = await run('unshare', [...rights, '-m', 'sh', '-c', 'mount -t tmpfs -o size=1m none /mnt'])
    if (probe.code === 0) return hold(rights, logFile)
    why = probe.stderr.trim()
  }
  return `no mount namespace here: ${why}`
}

async function hold(rights: readonly string[], logFile: string): Promise<MountNamespace> {
  const args = [...rights, '-m', '--propagation', 'private', 'sh', '-c', 'echo held; exec sleep infinity']
  const holder: RunningProcess = start({ name: 'mounts', command: 'unshare', args, logFile })
  await eventually('the namespace is there', () => {
    if (holder.hasExited()) throw new Error(holder.output())
    return holder.output().includes('held')
  })
  const user = rights.length === 0 ? [] : ['-U', '--preserve-credentials']
  const inside = ['nsenter', '-t', String(holder.pid), ...user, '-m']
  return {
    inside,
    async script(text, ...more) {
      const [command = '', ...enter] = inside
      const done = await run(command, [...enter, 'sh', '-euc', text, 'sh', ...more])
      if (done.code !== 0) throw new Error(`exit ${done.code}: ${text}\n${done.stdout}${done.stderr}`)
      return done.stdout
    },
    [Symbol.asyncDispose]: async () => {
      await holder.stop('SIGKILL')
    },
  }
}
