import { ConfigError } from '@vcc/runtime'
import { expect, test } from 'vitest'
import { parseControlConfig } from '../config.ts'

const HSM = 'module: /usr/lib/softhsm/libsofthsm2.so'

test('without a word about it, every key is in a file', () => {
  const { keys } = parseControlConfig('{}')
  expect(keys.hsm).toBeUndefined()
  expect(new Set(Object.values(keys.store))).toEqual(new Set(['software']))
})

test('a token by its label or its serial number, with what else it needs by default', () => {
  const { keys } = parseControlConfig(`keys: { store: { root: hsm }, hsm: { ${HSM}, token: vcc } }`)
  expect(keys.store).toMatchObject({ root: 'hsm', issuing: 'software' })
  expect(keys.hsm).toEqual({
    module: '/usr/lib/softhsm/libsofthsm2.so',
    token: 'vcc',
    pin_file: '/etc/vcc-control/hsm.pin',
    sessions: 4,
    queue: 1000,
    timeout: { ms: 5000 },
    keep_alive: { ms: 10_000 },
    environment: {},
  })
  expect(parseControlConfig(`keys: { hsm: { ${HSM}, serial: 00ab } }`).keys.hsm?.serial).toBe('00ab')
})

const refused: readonly { name: string; yaml: string; says: RegExp }[] = [
  { name: 'a purpose in a token that is not there', yaml: 'keys: { store: { root: hsm } }', says: /keys\.store\.root/ },
  { name: 'no token named', yaml: `keys: { hsm: { ${HSM} } }`, says: /keys\.hsm: no token is named/ },
  { name: 'no module', yaml: 'keys: { hsm: { token: vcc } }', says: /keys\.hsm\.module: is missing/ },
  {
    name: 'a module by a relative path',
    yaml: 'keys: { hsm: { module: x.so, token: vcc } }',
    says: /keys\.hsm\.module/,
  },
  { name: 'no session', yaml: `keys: { hsm: { ${HSM}, token: vcc, sessions: 0 } }`, says: /keys\.hsm\.sessions/ },
  {
    name: 'a PIN itself',
    yaml: `keys: { hsm: { ${HSM}, token: vcc, pin: "1234" } }`,
    says: /keys\.hsm\.pin: unknown field/,
  },
  { name: 'a store nobody has', yaml: 'keys: { store: { root: cloud } }', says: /keys\.store\.root: "cloud"/ },
  { name: 'a purpose nobody has', yaml: 'keys: { store: { roots: hsm } }', says: /keys\.store\.roots: unknown field/ },
  { name: 'keys that are in memory only', yaml: 'keys: { store: { broker: hsm } }', says: /unknown field/ },
  {
    name: 'a variable with a name that is none',
    yaml: `keys: { hsm: { ${HSM}, token: vcc, environment: { "A B": x } } }`,
    says: /not allowed here/,
  },
]
for (const { name, yaml, says } of refused) {
  test(`refused: ${name}`, () => {
    const parse = () => parseControlConfig(yaml)
    expect(parse).toThrow(ConfigError)
    expect(parse).toThrow(says)
  })
}

test('every purpose without its token is named', () => {
  const parse = () => parseControlConfig('keys: { store: { root: hsm, issuing: hsm } }')
  expect(parse).toThrow(/keys\.store\.root[\s\S]*keys\.store\.issuing/)
})
