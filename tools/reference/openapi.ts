import { openApiDocument } from '@vcc/control-plane'

/** What `GET /api/v1/openapi.json` answers, but for the version of the running build. */
export function renderOpenApi(): string {
  return `${JSON.stringify(openApiDocument('0.1.0'), null, 2)}\n`
}
