import { type ControlConfig, listenAddress } from '../config.ts'
import { createPublicApp } from '../public-http/app.ts'
import { listenOn } from '../tls/listen.ts'
import type { Core } from './core.ts'
import type { ControlEvents } from './events.ts'

/** The listener of external verifiers. Answers from the first moment on: what it serves needs nothing else. */
export async function servePublicHttp(
  config: ControlConfig,
  core: Core,
  { events, resources }: { events: ControlEvents; resources: AsyncDisposableStack },
): Promise<number> {
  const app = createPublicApp({ ...core, failed: (cause) => events.public_request_failed({}, cause) })
  await app.ready()
  resources.defer(() => app.close())
  return listenOn(app.server, listenAddress(config.listen.public))
}
