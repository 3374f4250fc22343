import { defineEvents, event } from '@vcc/runtime'

/** Everything the agent writes to its log but the access log, which is in access.ts. */
export const agentEvents = defineEvents({
  started: event<{ service: string; instance: string; serialHex: string; version: string }>('info', 'agent runs'),
  waiting_for_state: event('info', 'no signed state yet; nothing is let through before it comes'),
  listening: event<{ listener: string; endpoint: string }>('info', 'listening'),
  snapshot_applied: event<{ generation: string; decided: number; cut: number }>('info', 'new state in force'),
  self_check: event<{ serialHex: string; protocol: string; cipher: string; group: string }>(
    'info',
    'shook hands with the own listener',
  ),
  self_check_failed: event<{ reason: string }>('error', 'the own listener does not serve what it should'),
  address_ejected: event<{ upstream: string; address: string; reason: string; forMs: number }>(
    'warn',
    'an address is left out for a while',
  ),
  admission_refused: event<{ reason: string; address: string }>(
    'warn',
    'a connection was refused before anything of it was read',
  ),
  request_unreadable: event<{ side: string; reason: string; source: string; target: string; connection: string }>(
    'warn',
    'a request that is no proper HTTP/1.1 ended its connection',
  ),
  state_file_refused: event<{ file: string; code: string }>(
    'warn',
    'a stored document cannot be used and is fetched anew',
  ),
  state_refused: event<{ what: string; code: string }>('warn', 'signed state was refused'),
  state_passed_over: event<{ what: string; code: string }>('debug', 'signed state was passed over'),
  message_failed: event<{ topic: string }>('error', 'a message of the broker could not be looked at'),
  state_not_applied: event<{ code: string }>('error', 'signed state could not be put in force'),
  state_not_stored: event<{ file: string; code: string }>(
    'error',
    'signed state is in force but could not be written to the disk',
  ),
  state_stored_again: event<{ file: string }>('info', 'what could not be written to the disk is there now'),
  leftovers_removed: event<{ count: number }>('info', 'files that an earlier run left half written were removed'),
  pending_key_refused: event<{ code: string }>('warn', 'the stored key of the next certificate cannot be used'),
  certificate_renewed: event<{ serialHex: string; notAfter: Date; why: string }>('info', 'certificate renewed'),
  certificate_not_renewed: event<{ why: string; code: string; failures: number; waitMs: number }>(
    'warn',
    'certificate not renewed',
  ),
  identity_forked: event<{ instance: string }>('error', 'another agent holds a newer certificate of this instance'),
  broker_connected: event('info', 'connected to the broker'),
  broker_failed: event<{ code: string }>('warn', 'the broker cannot be used'),
  broker_disconnected: event('warn', 'the broker is away'),
  control_away: event<{ code: string }>('warn', 'the control plane does not answer'),
  service_health: event<{ health: string; detail: string }>('info', 'health of the local service changed'),
  clock_behind: event<{ bySeconds: number }>('error', 'the clock is behind what the control plane signed'),
  draining: event<{ deadlineMs: number }>('info', 'no new connections; waiting for those that are open'),
  drained: event<{ cut: number }>('info', 'drained'),
  job_failed: event<{ job: string }>('error', 'a scheduled job failed'),
})
export type AgentEvents = ReturnType<typeof agentEvents>
