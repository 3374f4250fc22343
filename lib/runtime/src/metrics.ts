import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** The values of a label: a closed list, or `'open'` for names from policy. */
export type LabelValues = readonly string[] | 'open'
export type Labels = Readonly<Record<string, LabelValues>>

export interface MetricKind {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels?: Labels
  /** Upper bounds, ascending; histograms only. */
  readonly buckets?: readonly number[]
}

/** Every metric of a process, by its full name. */
export type MetricTable = Readonly<Record<string, MetricKind>>

export interface CounterMetric<Given> {
  add(labels: Given, amount?: number): void
}
export interface GaugeMetric<Given> {
  set(labels: Given, value: number): void
  add(labels: Given, amount: number): void
  /** Forgets the series: for a peer that is gone. */
  remove(labels: Given): void
}
export interface HistogramMetric<Given> {
  observe(labels: Given, value: number): void
}

export type Metrics<Table extends MetricTable> = {
  readonly [Name in keyof Table]: MetricOf<Table[Name]>
} & {
  /** The state of everything, in Prometheus' text format 0.0.4. */
  readonly text: () => Promise<string>
  readonly contentType: string
}

/**
 * The metrics of one process, created from one closed table, beside the usual ones of the process (CPU, memory,
 * open files, event loop).
 *
 * A label that is `'open'` keeps 1,000 distinct values; further ones are counted as `other`, so that no caller can
 * fill the memory. `beforeText` runs before each exposition: for gauges that are read, not kept.
 */
export function createMetrics<const Table extends MetricTable>(
  table: Table,
  options: { beforeText?: (metrics: Metrics<Table>) => void | Promise<void>; processMetrics?: boolean } = {},
): Metrics<Table> {
  const registry = new Registry()
  if (options.processMetrics !== false) collectDefaultMetrics({ register: registry })
  const metrics = {
    ...Object.fromEntries(Object.entries(table).map(([name, kind]) => [name, instrument(name, kind, registry)])),
    contentType: registry.contentType,
    async text() {
      await options.beforeText?.(metrics)
      return await registry.metrics()
    },
  } as Metrics<Table> // every key of the table has its instrument
  return metrics
}

/** Per type: what prom-client calls it, and what we let be done with it. */
const INSTRUMENTS = {
  counter: (common: Common, bounded: Bounded) => {
    const counter = new Counter(common)
    return { add: (labels: Given, amount = 1) => counter.inc(bounded(labels), amount) }
  },
  gauge: (common: Common, bounded: Bounded) => {
    const gauge = new Gauge(common)
    return {
      set: (labels: Given, value: number) => gauge.set(bounded(labels), value),
      add: (labels: Given, amount: number) => gauge.inc(bounded(labels), amount),
      remove: (labels: Given) => gauge.remove(bounded(labels)),
    }
  },
  histogram: (common: Common, bounded: Bounded, buckets: readonly number[] | undefined) => {
    const histogram = new Histogram({ ...common, ...(buckets === undefined ? {} : { buckets: [...buckets] }) })
    return { observe: (labels: Given, value: number) => histogram.observe(bounded(labels), value) }
  },
} as const satisfies Record<MetricKind['type'], unknown>

function instrument(name: string, kind: MetricKind, registry: Registry): unknown {
  const labels = kind.labels ?? {}
  const common = { name, help: kind.help, labelNames: Object.keys(labels), registers: [registry] }
  return INSTRUMENTS[kind.type](common, boundLabels(labels), kind.buckets)
}

function boundLabels(kinds: Labels): (given: Given) => Record<string, string> {
  const seen = new Map(
    Object.entries(kinds)
      .filter(([, values]) => values === 'open')
      .map(([name]) => [name, new Set<string>()]),
  )
  return (given) => {
    if (seen.size === 0) return { ...given }
    const labels = { ...given }
    for (const [name, values] of seen) {
      const value = labels[name] ?? ''
      if (values.size < MAX_OPEN_VALUES) values.add(value)
      if (!values.has(value)) labels[name] = 'other'
    }
    return labels
  }
}

type Given = Readonly<Record<string, string>>
type Bounded = (given: Given) => Record<string, string>
interface Common {
  name: string
  help: string
  labelNames: string[]
  registers: Registry[]
}
type LabelsOf<K extends MetricKind> = K extends { labels: infer L extends Labels }
  ? { readonly [Name in keyof L]: L[Name] extends readonly (infer V)[] ? V : string }
  : Readonly<Record<string, never>>
type MetricOf<K extends MetricKind> = K['type'] extends 'counter'
  ? CounterMetric<LabelsOf<K>>
  : K['type'] extends 'gauge'
    ? GaugeMetric<LabelsOf<K>>
    : HistogramMetric<LabelsOf<K>>

const MAX_OPEN_VALUES = 1000
