export { AGENT_ENVIRONMENT, AGENT_SHAPE } from './config-shape.ts'
export { AGENT_FAILURES } from './errors.ts'
export { PROXY_REFUSALS } from './proxy/refusal.ts'
