import { defineEvents, event } from '@vcc/runtime'

/** Everything the control plane writes to its log. */
export const controlEvents = defineEvents({
  started: event<{ version: string; agents: string; ui: string; broker: string; public: string; orphans: number }>(
    'info',
    'control plane serves',
  ),
  schema_migrated: event<{ from: number; to: number }>('info', 'the database was brought to the current schema'),
  demo_arc: event<{ oidArc: string }>(
    'warn',
    'the OID arc is the sources’ example; a production mesh needs one of its own',
  ),
  request_answered: event<{ route: string; status: number; caller: string; requestId: string; durationMs: number }>(
    'debug',
    'request answered',
  ),
  request_failed: event<{ route: string; requestId: string }>('error', 'request failed'),
  request_denied: event<{ route: string; caller: string; code: string; requestId: string }>('warn', 'request denied'),
  state_published: event<{ kind: string; generation: number; instances: number }>('info', 'signed state published'),
  state_failed: event('error', 'signed state could not be brought up to date'),
  message_refused: event<{ instance: string; kind: string; code: string; reason: string }>(
    'warn',
    'message of an agent refused',
  ),
  message_failed: event<{ instance: string; kind: string }>('error', 'message of an agent could not be worked on'),
  broker_connected: event<{ certificateEnds: string }>('info', 'connected to the broker'),
  broker_disconnected: event('warn', 'the broker is away'),
  broker_certificate_old: event<{ certificateEnds: string }>(
    'warn',
    'the external broker does not serve the certificate it was given: it has to be told to read it',
  ),
  broker_certificate_written: event<{ file: string; serialHex: string }>(
    'info',
    'certificate of the external broker written',
  ),
  broker_files_failed: event<{ folder: string }>('error', 'the certificate of the external broker is not in its place'),
  broker_client_connected: event<{ clientId: string }>('debug', 'client connected to the embedded broker'),
  broker_client_disconnected: event<{ clientId: string }>('debug', 'client left the embedded broker'),
  broker_client_refused: event<{ clientId: string; why: string }>('warn', 'the embedded broker refused a client'),
  broker_failed: event('error', 'the embedded broker could not do its work'),
  identity_renewed: event<{ kind: string; serialHex: string }>('info', 'certificate of a listener renewed'),
  hsm_opened: event<{ pid: number; token: string; serial: string; sessions: number }>(
    'info',
    'the token is open in a signer process',
  ),
  hsm_lost: event<{ pid: number; why: string }>('error', 'the signer process lost its token, and is replaced'),
  hsm_unavailable: event<{ code: string }>('error', 'the token cannot be opened; it is tried again'),
  intents_orphaned: event<{ count: number }>('warn', 'open issuance intents became orphans'),
  crl_issued: event<{ authority: string; shard: number; kind: string; number: number; entries: number }>(
    'info',
    'CRL issued',
  ),
  crl_failed: event<{ authority: string; shard: number }>(
    'error',
    'a CRL could not be issued; the one before is served',
  ),
  crl_late: event<{ authority: string; shard: number; kind: string }>('error', 'a CRL will lapse unless it is issued'),
  ocsp_failed: event<{ reason: string }>('error', 'OCSP requests fail for a reason on our side'),
  public_request_failed: event('error', 'a request of a verifier failed'),
  job_failed: event<{ job: string }>('error', 'a scheduled job failed'),
  database_broken: event('fatal', 'the database can no longer be written'),
})
export type ControlEvents = ReturnType<typeof controlEvents>
