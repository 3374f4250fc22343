import { renderAgentConfig, renderControlConfig } from './configuration.ts'
import { renderErrorTables } from './errors.ts'
import { renderOpenApi } from './openapi.ts'

/** One generated file of `docs/reference/`. The same source gives the same bytes: no clock, no order of a file system. */
export interface Generator {
  readonly file: `${string}.md` | 'openapi.json'
  readonly render: () => string | Promise<string>
}

/** A new reference page is a new row here. */
export const GENERATORS: readonly Generator[] = [
  { file: 'errors.md', render: renderErrorTables },
  { file: 'openapi.json', render: renderOpenApi },
  { file: 'vcc-agent.md', render: renderAgentConfig },
  { file: 'vcc-control.md', render: renderControlConfig },
]
