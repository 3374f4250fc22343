import type { Handlers } from '../http/handlers.ts'
import type { Core } from './core.ts'

/**
 * What a test puts around parts of a running control plane, to look or to end it where nothing from outside can.
 * Given as an argument and by no other way: the product's own start leaves it out.
 */
export interface Instruments {
  /** Before anything works with it, and before what an earlier run left is resolved. */
  readonly core?: (core: Core) => Core
  readonly handlers?: (handlers: Handlers) => Handlers
}
