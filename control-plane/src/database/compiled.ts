import type { Compilable, CompiledQuery } from 'kysely'

/** What a statement binds. */
type Bindable = string | number | Uint8Array | null

/** One argument: a value, or a row of values. A list is of changing length, so it is not one. */
type Argument = Bindable | object

/**
 * A query that is built and compiled once, and bound anew at each call: building one costs more than running it.
 *
 * `build` gets stand-ins for its arguments, so it must put them into the query and not look at them: no condition, no
 * arithmetic, no template. A row with other columns is another query, compiled apart; at most eight are kept.
 *
 * @throws {TypeError} when `build` binds an argument that it changed, or leaves one out.
 */
export function compiled<A extends readonly Argument[], T>(
  build: (...args: A) => Compilable<T>,
): (...args: A) => Compilable<T> {
  const templates = new Map<string, Template>()
  return (...args) => {
    const shape = args.map(shapeOf).join(';')
    let template = templates.get(shape)
    if (template === undefined) {
      template = templateOf(build, args)
      if (templates.size >= MAX_SHAPES) templates.clear()
      templates.set(shape, template)
    }
    const { query, slots } = template
    const parameters = slots.map((slot) => (slot instanceof StandIn ? slot.valueIn(args) : slot))
    return { compile: () => ({ ...query, parameters }) }
  }
}

interface Template {
  readonly query: CompiledQuery
  readonly slots: readonly unknown[]
}

/** Stands for the value at one place of the arguments while the query is built. */
class StandIn {
  readonly #argument: number
  readonly #column: string | undefined

  constructor(argument: number, column?: string) {
    this.#argument = argument
    this.#column = column
  }

  valueIn(args: readonly Argument[]): Bindable {
    const argument = args[this.#argument] as Argument // as many as there were stand-ins, of the same shape
    return isRow(argument) ? (argument[this.#column ?? ''] ?? null) : (argument as Bindable)
  }
}

function templateOf<A extends readonly Argument[]>(build: (...args: A) => Compilable, args: A): Template {
  const standIns = args.map((argument, at) =>
    isRow(argument)
      ? Object.fromEntries(Object.keys(argument).map((column) => [column, new StandIn(at, column)]))
      : new StandIn(at),
  )
  const query = build(...(standIns as unknown as A)).compile() // of no other use than to be put into a query
  const bound = new Set(query.parameters.filter((parameter) => parameter instanceof StandIn))
  const all = standIns.flatMap((one) => (one instanceof StandIn ? [one] : Object.values(one)))
  if (all.some((one) => !bound.has(one))) throw new TypeError('a compiled query leaves out an argument')
  return { query, slots: query.parameters }
}

/** Names of columns, in their order; nothing of values. */
function shapeOf(argument: Argument): string {
  return isRow(argument) ? Object.keys(argument).join(',') : ''
}

function isRow(argument: Argument): argument is { readonly [column: string]: Bindable } {
  return typeof argument === 'object' && argument !== null && !(argument instanceof Uint8Array)
}

const MAX_SHAPES = 8
