/** One measured figure, beside a peer's in the same run where there is one. */
export interface Row {
  readonly id: string
  readonly what: string
  readonly unit: string
  readonly ours: number
  readonly peer: number | null
  readonly peerName: string | null
  /** ours / peer. */
  readonly ratio: number | null
  /** The ratio, or the figure without a peer, that is aimed at; null where the row only watches. */
  readonly goal: number | null
  readonly met: boolean | null
}

export interface Measured {
  readonly id: string
  readonly what: string
  readonly unit: string
  readonly ours: number
  readonly peer?: { readonly name: string; readonly value: number }
  /** At most, as ratio to the peer. */
  readonly goal?: number
}

export function row({ id, what, unit, ours, peer, goal }: Measured): Row {
  const ratio = peer === undefined ? null : ours / peer.value
  const judged = ratio ?? ours
  return {
    id,
    what,
    unit,
    ours,
    peer: peer?.value ?? null,
    peerName: peer?.name ?? null,
    ratio,
    goal: goal ?? null,
    met: goal === undefined ? null : judged <= goal,
  }
}

/** CPU microseconds per run of this process, user and system; the first tenth warms up. */
export async function cpuMicroseconds(runs: number, work: (index: number) => unknown): Promise<number> {
  for (let index = 0; index < runs / 10; index++) await work(index)
  const before = process.cpuUsage()
  for (let index = 0; index < runs; index++) await work(index)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / runs
}
