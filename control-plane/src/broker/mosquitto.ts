import { CONTROL_CLIENT_ID, CONTROL_FILTERS, FLEET_TOPICS, instanceTopics } from '@vcc/mesh'
import { brokerFiles } from './files.ts'

export interface MosquittoSettings {
  /** Where its files lie on the broker's host. */
  readonly folder: string
  readonly port: number
  /** One address to listen on; all of them without it. */
  readonly host?: string | undefined
  /** Whom it becomes when it is started as root: the owner of the files. */
  readonly user: string
  /** Whether its key was made where it runs (`broker.key`), and we certified it. */
  readonly hasOwnKey: boolean
}

/** `mosquitto.conf` for Mosquitto 2.0: mutual TLS 1.3, who somebody is from the certificate, nothing kept on disk. */
export function mosquittoConf(settings: MosquittoSettings): string {
  const files = brokerFiles(settings.folder)
  const [cert, key] = settings.hasOwnKey ? [files.certificate, files.key] : [files.identity, files.identity]
  const listener = settings.host === undefined ? `${settings.port}` : `${settings.port} ${settings.host}`
  return `${HEADER}
per_listener_settings false
# Only when started as root.
user ${settings.user}

listener ${listener}
max_connections ${MAX_CONNECTIONS}
cafile ${files.root}
certfile ${cert}
keyfile ${key}
tls_version tlsv1.3
ciphers_tls1.3 TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256
require_certificate true
# The certificate's CN is the instance; the second line keeps one client from taking the place of another.
use_identity_as_username true
use_username_as_clientid true

allow_anonymous false
allow_zero_length_clientid false
acl_file ${files.acl}

# What is retained comes from the control plane's database, anew at each of its connects.
persistence false
sys_interval 0

# A document of 200 KiB with its topic; larger ones are pulled over HTTPS.
max_packet_size ${MAX_PACKET_BYTES}
max_inflight_messages 16
# For the control plane, which hears all agents; past it messages are dropped, and pulls make it good.
max_queued_messages 20000
max_queued_bytes 33554432
queue_qos0_messages false
persistent_client_expiration 1h
set_tcp_nodelay true

log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
`
}

/** The ACL file: each instance its own topics, the control plane those of all. Exact names: no other topic exists. */
export function mosquittoAcl(): string {
  const { up, down } = instanceTopics(SAMPLE)
  const lines = (verb: string, topics: readonly string[], level: string) =>
    topics.map((topic) => `${verb} ${topic.replace(SAMPLE, level)}`)
  const fleet = Object.values(FLEET_TOPICS)
  return [
    HEADER,
    '# The control plane.',
    `user ${CONTROL_CLIENT_ID}`,
    ...lines('topic write', fleet, ''),
    ...lines('topic write', Object.values(down), '+'),
    ...lines('topic read', CONTROL_FILTERS, ''),
    '',
    '# Every instance: %u is the CN of its certificate.',
    ...lines('pattern read', fleet, ''),
    ...lines('pattern read', Object.values(down), '%u'),
    ...lines('pattern write', Object.values(up), '%u'),
    '',
  ].join('\n')
}

const HEADER = '# Written by `vcc-control broker-config`, and written anew by its next run.'
const SAMPLE = '0'.repeat(16)
/** For ten thousand agents; the limit of open files (LimitNOFILE) has to be above it. */
const MAX_CONNECTIONS = 16_384
/** As the embedded broker takes them. */
const MAX_PACKET_BYTES = 262_144
