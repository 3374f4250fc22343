import type { ROUTES, RouteInput, RouteName, RouteOutput } from '@vcc/api'
import type { AdminCaller, AgentCaller, Caller } from './caller.ts'

type CallerOf<N extends RouteName> = (typeof ROUTES)[N]['access'] extends infer Access
  ? Access extends 'open'
    ? Caller
    : Access extends 'agent'
      ? AgentCaller
      : AdminCaller
  : never

export interface RequestContext<C> {
  /** Already authorised for the route. */
  readonly caller: C
  readonly requestId: string
  /** Aborted when the client goes away or the server stops. */
  readonly signal: AbortSignal
}

export type Handler<N extends RouteName> = (
  input: RouteInput<N>,
  context: RequestContext<CallerOf<N>>,
) => Promise<RouteOutput<N>> | RouteOutput<N>

/** One handler per row of the route table; a row without one does not compile. */
export type Handlers = { readonly [N in RouteName]: Handler<N> }
