import type { Pkcs11Events } from '@vcc/keys'
import type { ControlEvents } from './events.ts'
import type { ControlMetrics } from './metrics.ts'

/** What the token's connection tells, to log and metrics; a PIN that is refused also to `onLoginRefused`. */
export function hsmEvents(deps: {
  events: ControlEvents
  metrics: ControlMetrics
  onLoginRefused: (code: string) => void
}): Pkcs11Events {
  const { events, metrics } = deps
  let starts = 0
  return {
    started({ pid, token }) {
      if (starts++ > 0) metrics.vcc_hsm_signer_restarts_total.add({})
      events.hsm_opened({ pid, token: token.label, serial: token.serial, sessions: token.sessions })
    },
    lost: (fact) => events.hsm_lost(fact),
    unavailable(failure) {
      events.hsm_unavailable({ code: failure.code }, failure)
      if (failure.code === 'hsm_pin_refused' || failure.code === 'hsm_pin_locked') deps.onLoginRefused(failure.code)
    },
    operation({ operation, outcome, seconds }) {
      metrics.vcc_hsm_operations_total.add({ operation, outcome })
      metrics.vcc_hsm_operation_duration_seconds.observe({ operation }, seconds)
    },
  }
}
