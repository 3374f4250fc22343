export { BROKER_FAILURES } from './broker/errors.ts'
export { CONFIG_ENVIRONMENT, ConfigShape } from './config.ts'
export { DATABASE_FAILURES } from './database/errors.ts'
export { openApiDocument } from './http/openapi.ts'
