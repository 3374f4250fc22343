import { AGENT_ENVIRONMENT, AGENT_SHAPE } from '@vcc/agent'
import { CONFIG_ENVIRONMENT, ConfigShape } from '@vcc/control-plane'
import { configReference } from '@vcc/runtime'

export function renderControlConfig(): string {
  return configReference('Configuration of `vcc-control` (`vcc-control.yml`)', ConfigShape, CONFIG_ENVIRONMENT)
}

export function renderAgentConfig(): string {
  return configReference('Configuration of `vcc-agent` (`vcc-agent.yml`)', AGENT_SHAPE, AGENT_ENVIRONMENT)
}
