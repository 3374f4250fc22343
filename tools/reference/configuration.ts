import { CONFIG_ENVIRONMENT, ConfigShape } from '@vcc/control-plane'
import { configReference } from '@vcc/runtime'

export function renderControlConfig(): string {
  return configReference('Configuration of `vcc-control` (`vcc-control.yml`)', ConfigShape, CONFIG_ENVIRONMENT)
}
