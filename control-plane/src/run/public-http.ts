import { type ControlConfig, listenAddress } from '../config.ts'
import { createPublicApp } from '../public-http/app.ts'
import { listenOn } from '../tls/listen.ts'
import type { Core } from './core.ts'
import type { ControlEvents } from './events.ts'
import type { StatusService } from './status-service.ts'

/** The listener of external verifiers. Answers from the first moment on: what it serves needs nothing else. */
export async function servePublicHttp(
  config: ControlConfig,
  core: Core,
  { status, events, resources }: { status: StatusService; events: ControlEvents; resources: AsyncDisposableStack },
): Promise<number> {
  const app = createPublicApp({ ...core, failed: (cause) => events.public_request_failed({}, cause) }, [status.plugin])
  await app.ready()
  resources.defer(() => app.close())
  return listenOn(app.server, listenAddress(config.listen.public))
}
