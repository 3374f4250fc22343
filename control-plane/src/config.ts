import { brokerAddress } from '@vcc/mesh'
import {
  CLOSED,
  type Command,
  type Config,
  type ConfigOptions,
  DurationField,
  parseYamlConfig,
  readYamlConfig,
  SecretFileField,
} from '@vcc/runtime'
import { Type } from 'typebox'
import { checkKeys, KeysShape } from './keys/config.ts'
import type { ListenAddress } from './tls/listen.ts'

const listen = (value: string, description: string) =>
  Type.String({
    default: value,
    description,
    pattern: '^(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9.-]{1,253}):\\d{1,5}$',
    patternHint: 'host:port, as in 127.0.0.1:8444',
  })

/** `vcc-control.yml`. The configuration reference is made from the descriptions. */
export const ConfigShape = Type.Object(
  {
    data: Type.String({
      minLength: 1,
      default: '/var/lib/vcc-control',
      description: 'Folder of the database and the key store, made by `vcc-control init`.',
    }),
    secrets: Type.Object(
      {
        database_key_file: SecretFileField({
          default: '/etc/vcc-control/database.key',
          description: 'Key of the database: 32 bytes, raw or as 64 hex digits. Outside the data folder.',
        }),
        key_store_key_file: SecretFileField({
          default: '/etc/vcc-control/key-store.key',
          description: 'Key that wraps the private keys of the software key store. Another one than the database key.',
        }),
      },
      { ...CLOSED, default: {} },
    ),
    keys: KeysShape,
    listen: Type.Object(
      {
        ui: listen('0.0.0.0:8443', 'UI and API without client certificates; before OIDC only health and OpenAPI.'),
        agents: listen('0.0.0.0:8444', 'API for agents and holders of client certificates.'),
        broker: listen('0.0.0.0:8883', 'Embedded MQTT broker (MQTTS); not used with an external one.'),
        public: listen(
          '0.0.0.0:8080',
          'Plain HTTP for verifiers: CRLs and certificates of CAs. What `init --status-url` names leads here.',
        ),
        metrics: listen(
          '127.0.0.1:9460',
          '/metrics for Prometheus, /live and /ready, plain HTTP; keep it on localhost.',
        ),
      },
      { ...CLOSED, default: {} },
    ),
    advertise: Type.Object(
      {
        api: Type.Array(Type.String({ pattern: '^https://[!-~]{1,290}$', patternHint: 'an https:// URL' }), {
          default: [],
          maxItems: 16,
          description: 'URLs under which agents reach `listen.agents`. Default: https://control.<domain>:<port>.',
        }),
        broker: Type.Array(Type.String({ pattern: '^mqtts://[!-~]{1,290}$', patternHint: 'an mqtts:// URL' }), {
          default: [],
          maxItems: 16,
          description:
            'URLs under which agents reach the broker. Default: `broker.external.url`, or mqtts://control.<domain>:<port>.',
        }),
      },
      { ...CLOSED, default: {} },
    ),
    broker: Type.Object(
      {
        external: Type.Optional(
          Type.Object(
            {
              url: Type.String({
                pattern: '^mqtts://(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9.-]{1,253})(:\\d{1,5})?$',
                patternHint: 'mqtts://host:port, as in mqtts://broker.example.org:8883',
                description: 'Where the control plane reaches it.',
              }),
              folder: Type.String({
                pattern: '^/.{1,4000}$',
                patternHint: 'an absolute path',
                description:
                  'Folder, mode 0700, of its certificate: `broker.pem` with its key, or `broker.crt` where a `broker.csr` lies there. `vcc-control broker-config` adds the rest of what Mosquitto needs.',
              }),
            },
            { ...CLOSED, description: 'A broker that somebody else runs, in place of the embedded one.' },
          ),
        ),
      },
      { ...CLOSED, default: {} },
    ),
    crl: Type.Object(
      {
        interval: DurationField({
          default: '24h',
          minimumMs: 60_000,
          maximumMs: 7 * 86_400_000,
          description:
            'How often complete CRLs are issued without any change. They are valid so long and the outage budget.',
        }),
        delta_interval: DurationField({
          default: '1h',
          minimumMs: 60_000,
          maximumMs: 86_400_000,
          description: 'The same for delta CRLs. A revocation is on one within a minute.',
        }),
      },
      { ...CLOSED, default: {} },
    ),
    drain: DurationField({
      default: '10s',
      maximumMs: 300_000,
      description: 'How long open requests may take after SIGTERM.',
    }),
    log: Type.Object(
      {
        level: Type.Enum(['error', 'warn', 'info', 'debug'], {
          default: 'info',
          description: 'Least level that is logged.',
        }),
      },
      { ...CLOSED, default: {} },
    ),
  },
  CLOSED,
)
export type ControlConfig = Config<typeof ConfigShape>

/** Environment variables that override the file. Secrets are named by file, never given. */
export const CONFIG_ENVIRONMENT = {
  VCC_CONTROL_DATA: 'data',
  VCC_LOG_LEVEL: 'log.level',
  VCC_DATABASE_KEY_FILE: 'secrets.database_key_file',
  VCC_KEY_STORE_KEY_FILE: 'secrets.key_store_key_file',
  VCC_HSM_PIN_FILE: 'keys.hsm.pin_file',
} as const

const DEFAULT_CONFIG_PATH = '/etc/vcc-control/vcc-control.yml'

/** Which file a command reads. */
export function configOption(command: Command): Command {
  return command.option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG_PATH)
}

/** @throws {ConfigError} with every problem at once. */
export function readControlConfig(path: string): Promise<ControlConfig> {
  return readYamlConfig(path, ConfigShape, OPTIONS)
}

/** The same for text that is already there. @throws {ConfigError} */
export function parseControlConfig(text: string, fileName = 'vcc-control.yml'): ControlConfig {
  return parseYamlConfig(text, fileName, ConfigShape, OPTIONS)
}

const OPTIONS: ConfigOptions<typeof ConfigShape> = {
  env: CONFIG_ENVIRONMENT,
  check({ broker, keys }, report) {
    checkKeys(keys, report)
    if (broker.external === undefined || brokerAddress(broker.external.url) !== undefined) return
    report('broker.external.url', 'this is no address', 'mqtts://host:port, as in mqtts://broker.example.org:8883')
  },
}

/** The pattern of the field let nothing else through. */
export function listenAddress(text: string): ListenAddress {
  const at = text.lastIndexOf(':')
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) }
}
