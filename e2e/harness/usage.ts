import { readdir, readFile } from 'node:fs/promises'

/** What the kernel says of a process. */
export interface Usage {
  readonly rssBytes: number
  /** Open file descriptors. */
  readonly descriptors: number
  /** In user and kernel mode since its start. */
  readonly cpuSeconds: number
}

export async function usageOf(pid: number): Promise<Usage> {
  const [status, descriptors, stat] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8'),
    readdir(`/proc/${pid}/fd`),
    readFile(`/proc/${pid}/stat`, 'utf8'),
  ])
  // proc(5): fields 14 and 15; the name in field 2 may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  return {
    rssBytes: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024,
    descriptors: descriptors.length,
    cpuSeconds: ticks / TICKS_PER_SECOND,
  }
}

/** `USER_HZ` is 100 on every architecture we run on. */
const TICKS_PER_SECOND = 100
