import { CLOSED, type Config, DurationField, SecretFileField } from '@vcc/runtime'
import { Type } from 'typebox'

/** Keys that are kept, by purpose. Those of our own listeners live in memory only. */
export const STORED_PURPOSES = ['root', 'issuing', 'state', 'audit', 'feed', 'ocsp', 'tsa', 'code-signing'] as const

const stored = (of: string) =>
  Type.Enum(['software', 'hsm'], { default: 'software', description: `Where new keys of ${of} are made.` })

/** `keys` of `vcc-control.yml`. */
export const KeysShape = Type.Object(
  {
    store: Type.Object(
      {
        root: stored('roots'),
        issuing: stored('issuing CAs'),
        state: stored('the signers of state'),
        audit: stored('the signers of audit checkpoints'),
        feed: stored('the signers of status feeds'),
        ocsp: stored('OCSP responders'),
        tsa: stored('time-stamping units'),
        'code-signing': stored('code signing'),
      },
      { ...CLOSED, default: {}, description: 'A key that exists is found where it is, whatever stands here.' },
    ),
    hsm: Type.Optional(
      Type.Object(
        {
          module: Type.String({
            pattern: '^/.{1,4000}$',
            patternHint: 'an absolute path, as in /usr/lib/softhsm/libsofthsm2.so',
            description: 'The vendor’s PKCS#11 module. It runs in a signer process of its own.',
          }),
          token: Type.Optional(Type.String({ minLength: 1, maxLength: 32, description: 'Label of the token.' })),
          serial: Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 16,
              description: 'Serial number of the token: in place of the label, or where several have it.',
            }),
          ),
          pin_file: SecretFileField({
            default: '/etc/vcc-control/hsm.pin',
            description: 'The PIN of the token’s user: a file with mode 0600, or a systemd credential.',
          }),
          sessions: Type.Integer({
            default: 4,
            minimum: 1,
            maximum: 64,
            description: 'Operations at a time: as many as the device does in parallel.',
          }),
          queue: Type.Integer({
            default: 1000,
            minimum: 1,
            maximum: 100_000,
            description: 'Requests that may wait; further ones are answered hsm_busy.',
          }),
          timeout: DurationField({
            default: '5s',
            minimumMs: 1000,
            maximumMs: 60_000,
            description:
              'How long a request may wait for its turn, and the token may take for it before its process is replaced.',
          }),
          keep_alive: DurationField({
            default: '10s',
            minimumMs: 1000,
            maximumMs: 600_000,
            description: 'How often idle sessions are used, shorter than what the device closes them after.',
          }),
          environment: Type.Record(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]{0,63}$' }), Type.String(), {
            default: {},
            maxProperties: 32,
            description: 'Variables that the module wants, as SOFTHSM2_CONF. No secrets.',
          }),
        },
        { ...CLOSED, description: 'One PKCS#11 token.' },
      ),
    ),
  },
  { ...CLOSED, default: {} },
)
export type KeysConfig = Config<typeof KeysShape>

/** What the fields mean together. */
export function checkKeys(
  { store, hsm }: KeysConfig,
  report: (field: string, message: string, hint?: string) => void,
): void {
  if (hsm === undefined) {
    const missing = STORED_PURPOSES.filter((purpose) => store[purpose] === 'hsm')
    for (const purpose of missing) report(`keys.store.${purpose}`, 'there is no token for it', 'keys.hsm is missing')
  } else if (hsm.token === undefined && hsm.serial === undefined) {
    report('keys.hsm', 'no token is named', 'add token, its label, or serial, its serial number')
  }
}
