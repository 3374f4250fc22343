export { CONFIG_ENVIRONMENT, ConfigShape } from './config.ts'
export { openApiDocument } from './http/openapi.ts'
