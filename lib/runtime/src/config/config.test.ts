import { chmod, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { type ConfigOptions, parseYamlConfig, readYamlConfig } from './config.ts'
import { ConfigError, didYouMean } from './problem.ts'
import { configReference } from './reference.ts'
import { CLOSED, DurationField, SecretFileField } from './shape.ts'

const Listen = Type.Object(
  {
    host: Type.String({ minLength: 1, default: '127.0.0.1', description: 'Address to listen on' }),
    port: Type.Integer({ minimum: 1, maximum: 65_535, description: 'TCP port' }),
  },
  CLOSED,
)
const Shape = Type.Object(
  {
    listen: Listen,
    level: Type.Enum(['info', 'debug', 'warn'], { default: 'info', description: 'Log level' }),
    refresh: DurationField({ default: '10m', minimumMs: 1000, maximumMs: 86_400_000, description: 'How often' }),
    keyFile: Type.Optional(SecretFileField({ description: 'Wrapping key' })),
    networks: Type.Array(Type.String({ pattern: '^[0-9./]+$', patternHint: 'such as 10.0.0.0/8' }), {
      default: [],
      maxItems: 2,
      uniqueItems: true,
    }),
    audit: Type.Boolean({ default: false }),
    ratio: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    upstreams: Type.Optional(Type.Record(Type.String({ pattern: '^[a-z-]+$' }), Listen, { maxProperties: 2 })),
    target: Type.Optional(
      Type.Union([
        Type.Object({ kind: Type.Literal('tcp'), port: Type.Integer({ minimum: 1, maximum: 65_535 }) }, CLOSED),
        Type.Object({ kind: Type.Literal('unix'), path: Type.String() }, CLOSED),
      ]),
    ),
  },
  CLOSED,
)

function parse(text: string, options: ConfigOptions<typeof Shape> = {}) {
  return parseYamlConfig(text, 'agent.yaml', Shape, { environment: {}, ...options })
}

function problemsOf(run: () => unknown): string[] {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.problems.map(
        ({ at, field, message, hint }) => `${at} ${field}: ${message}${hint === undefined ? '' : ` | ${hint}`}`,
      )
    }
    throw error
  }
  return []
}

test('defaults are filled in and durations become milliseconds', () => {
  expect(parse('listen: { port: 8443 }')).toEqual({
    listen: { host: '127.0.0.1', port: 8443 },
    level: 'info',
    refresh: { ms: 600_000 },
    networks: [],
    audit: false,
  })
})

test('everything that can be written is read', () => {
  const config = parse(`
listen: { host: "::1", port: 1 }
level: debug
refresh: 1h30m
keyFile: /etc/vcc/key
networks: [10.0.0.0/8]
audit: true
ratio: 0.5
upstreams:
  covina: { port: 9001 }
target: { kind: unix, path: /run/x.sock }
`)
  expect(config.refresh.ms).toBe(5_400_000)
  expect(config.upstreams?.['covina']).toEqual({ host: '127.0.0.1', port: 9001 })
  expect(config.target).toEqual({ kind: 'unix', path: '/run/x.sock' })
})

const refusals: readonly { name: string; text: string; problems: readonly string[] }[] = [
  { name: 'empty file', text: '', problems: ['agent.yaml:1:1 listen: is missing'] },
  { name: 'a list as a whole', text: '- a', problems: ['agent.yaml:1:1 : expected a group of fields, found a list'] },
  {
    name: 'unknown field with a near name',
    text: 'listen: { port: 1 }\nrefrseh: 5m',
    problems: ['agent.yaml:2:1 refrseh: unknown field | did you mean "refresh"?'],
  },
  {
    name: 'unknown field in a group without a near name',
    text: 'listen:\n  port: 1\n  tls: true',
    problems: ['agent.yaml:3:3 listen.tls: unknown field | known here: host, port'],
  },
  {
    name: 'prototype names',
    text: 'listen: { port: 1 }\n__proto__: { audit: true }\nconstructor: 1',
    problems: [
      expect.stringContaining('agent.yaml:2:1 __proto__: unknown field'),
      expect.stringContaining('agent.yaml:3:1 constructor: unknown field'),
    ] as string[],
  },
  {
    name: 'field without a value',
    text: 'listen:',
    problems: ['agent.yaml:1:1 listen: expected a group of fields, found nothing'],
  },
  {
    name: 'number for a text',
    text: 'listen: { host: 5, port: 1 }',
    problems: ['agent.yaml:1:11 listen.host: expected a text, found 5 | put it in quotes: "5"'],
  },
  {
    name: 'text for a number',
    text: 'listen: { port: "1" }',
    problems: ['agent.yaml:1:11 listen.port: expected a whole number, found "1" | TCP port'],
  },
  {
    name: 'fraction for a whole number',
    text: 'listen: { port: 1.5 }',
    problems: ['agent.yaml:1:11 listen.port: expected a whole number, found 1.5 | TCP port'],
  },
  { name: 'port 0', text: 'listen: { port: 0 }', problems: ['agent.yaml:1:11 listen.port: 0 is less than 1'] },
  {
    name: 'port 65536',
    text: 'listen: { port: 65536 }',
    problems: ['agent.yaml:1:11 listen.port: 65536 is more than 65535'],
  },
  {
    name: 'not a number',
    text: 'listen: { port: 1 }\nratio: .nan',
    problems: ['agent.yaml:2:1 ratio: expected a number, found NaN'],
  },
  {
    name: 'infinite number',
    text: 'listen: { port: 1 }\nratio: .inf',
    problems: ['agent.yaml:2:1 ratio: expected a number, found Infinity'],
  },
  {
    name: 'yes is not true',
    text: 'listen: { port: 1 }\naudit: yes',
    problems: ['agent.yaml:2:1 audit: expected true or false, found "yes"'],
  },
  {
    name: 'empty text',
    text: 'listen: { host: "", port: 1 }',
    problems: ['agent.yaml:1:11 listen.host: must not be empty'],
  },
  {
    name: 'unknown choice',
    text: 'listen: { port: 1 }\nlevel: inof',
    problems: ['agent.yaml:2:1 level: "inof" is not possible | did you mean "info"?'],
  },
  {
    name: 'bare number as duration',
    text: 'listen: { port: 1 }\nrefresh: 10',
    problems: ['agent.yaml:2:1 refresh: expected a text, found 10 | write the unit, such as "10s" or "10m"'],
  },
  {
    name: 'quoted bare number as duration',
    text: 'listen: { port: 1 }\nrefresh: "10"',
    problems: ['agent.yaml:2:1 refresh: "10" is not a duration | write the unit, such as "10s" or "10m"'],
  },
  {
    name: 'duration too short',
    text: 'listen: { port: 1 }\nrefresh: 1ms',
    problems: ['agent.yaml:2:1 refresh: "1ms" is shorter than 1s'],
  },
  {
    name: 'duration too long',
    text: 'listen: { port: 1 }\nrefresh: 2d',
    problems: ['agent.yaml:2:1 refresh: "2d" is longer than 1d'],
  },
  {
    name: 'text for a list',
    text: 'listen: { port: 1 }\nnetworks: 10.0.0.0/8',
    problems: ['agent.yaml:2:1 networks: expected a list, found "10.0.0.0/8" | write a list: [10.0.0.0/8]'],
  },
  {
    name: 'wrong entry of a list',
    text: 'listen: { port: 1 }\nnetworks:\n  - 10.0.0.0/8\n  - ten',
    problems: ['agent.yaml:4:5 networks[1]: "ten" does not have the right form | such as 10.0.0.0/8'],
  },
  {
    name: 'entry twice',
    text: 'listen: { port: 1 }\nnetworks: ["1", "1"]',
    problems: ['agent.yaml:2:17 networks[1]: "1" is there twice'],
  },
  {
    name: 'too many entries',
    text: 'listen: { port: 1 }\nnetworks: ["1", "2", "3"]',
    problems: ['agent.yaml:2:1 networks: at most 2 entries are possible, found 3'],
  },
  {
    name: 'wrong name of a named group',
    text: 'listen: { port: 1 }\nupstreams: { A: { port: 1 } }',
    problems: ['agent.yaml:2:14 upstreams.A: this name is not allowed here | names match ^[a-z-]+$'],
  },
  {
    name: 'problem inside a named group',
    text: 'listen: { port: 1 }\nupstreams:\n  a: { prot: 1 }',
    problems: [
      'agent.yaml:3:8 upstreams.a.prot: unknown field | did you mean "port"?',
      'agent.yaml:3:3 upstreams.a.port: is missing | TCP port',
    ],
  },
  {
    name: 'alternative without its kind',
    text: 'listen: { port: 1 }\ntarget: { port: 1 }',
    problems: ['agent.yaml:2:1 target.kind: is missing | one of tcp, unix'],
  },
  {
    name: 'unknown alternative',
    text: 'listen: { port: 1 }\ntarget: { kind: udp }',
    problems: ['agent.yaml:2:11 target.kind: "udp" is not possible | one of tcp, unix'],
  },
  {
    name: 'field of the other alternative',
    text: 'listen: { port: 1 }\ntarget: { kind: unix, path: /x, port: 1 }',
    problems: ['agent.yaml:2:33 target.port: unknown field | known here: kind, path'],
  },
  {
    name: 'field twice',
    text: 'listen: { port: 1 }\nlevel: info\nlevel: debug',
    problems: ['agent.yaml:3:1 : this field is there twice | keep one of the two'],
  },
  {
    name: 'alias',
    text: 'listen: &a { port: 1 }\nupstreams: { x: *a }',
    problems: ['agent.yaml:2:17 : the alias *a is not accepted | write the value out'],
  },
  { name: 'tag', text: 'listen: !x { port: 1 }', problems: ['agent.yaml:1:9 : not YAML: unresolved tag: !x'] },
  {
    name: 'merge key',
    text: 'listen: { port: 1 }\n<<: { level: debug }',
    problems: [expect.stringContaining('agent.yaml:2:1 <<: unknown field')] as string[],
  },
  {
    name: 'two documents',
    text: 'listen: { port: 1 }\n---\na: 1',
    problems: ['agent.yaml:2:1 : more than one document | remove what follows "---"'],
  },
  {
    name: 'tab',
    text: 'listen:\n\tport: 1',
    problems: [expect.stringContaining('agent.yaml:2:1 : a tab is not an indentation | use spaces')] as string[],
  },
  { name: 'unfinished quote', text: 'level: "info', problems: ['agent.yaml:1:13 : not YAML: missing closing "quote'] },
]

for (const { name, text, problems } of refusals) {
  test(`refused: ${name}`, () => expect(problemsOf(() => parse(text))).toEqual(problems))
}

test('every problem is reported at once', () => {
  const text = 'listen: { host: 1, prot: 2 }\nlevel: x\nrefresh: 5\nnope: 1'
  const fields = problemsOf(() => parse(text)).map((line) => line.split(' ')[1])
  expect(fields).toEqual(['nope:', 'listen.prot:', 'listen.host:', 'listen.port:', 'level:', 'refresh:'])
})

test('ten thousand unknown fields make a short message', () => {
  const text = Array.from({ length: 10_000 }, (_, index) => `x${index}: 1`).join('\n')
  expect(() => parse(text)).toThrow(/\nand more$/)
})

test('a hundred thousand brackets are refused, not a crash', () => {
  expect(problemsOf(() => parse('['.repeat(100_000))).length).toBeGreaterThan(0)
})

describe('environment', () => {
  const env = {
    VCC_LISTEN_PORT: 'listen.port',
    VCC_LEVEL: 'level',
    VCC_AUDIT: 'audit',
    VCC_NETWORKS: 'networks',
    VCC_KEY_FILE: 'keyFile',
  } as const

  test('overrides the file', () => {
    const environment = {
      VCC_LISTEN_PORT: '9000',
      VCC_AUDIT: 'true',
      VCC_NETWORKS: '10.0.0.0/8, 11.0.0.0/8',
      VCC_KEY_FILE: '/k',
    }
    const config = parse('listen: { port: 1 }\nlevel: debug', { env, environment })
    expect(config).toMatchObject({
      listen: { port: 9000 },
      level: 'debug',
      audit: true,
      networks: ['10.0.0.0/8', '11.0.0.0/8'],
      keyFile: '/k',
    })
  })

  test('supplies what the file lacks', () => {
    expect(parse('', { env, environment: { VCC_LISTEN_PORT: '9000' } }).listen.port).toBe(9000)
  })

  test('an empty variable is none', () => {
    expect(parse('listen: { port: 1 }', { env, environment: { VCC_LISTEN_PORT: '' } }).listen.port).toBe(1)
  })

  const wrong: readonly [variable: string, value: string, problem: string][] = [
    ['VCC_LISTEN_PORT', 'http', 'VCC_LISTEN_PORT listen.port: expected a whole number, found "http" | TCP port'],
    ['VCC_LISTEN_PORT', '0x10', 'VCC_LISTEN_PORT listen.port: expected a whole number, found "0x10" | TCP port'],
    ['VCC_LISTEN_PORT', '70000', 'VCC_LISTEN_PORT listen.port: 70000 is more than 65535'],
    ['VCC_AUDIT', '1', 'VCC_AUDIT audit: expected true or false, found "1"'],
    ['VCC_LEVEL', 'inof', 'VCC_LEVEL level: "inof" is not possible | did you mean "info"?'],
    [
      'VCC_NETWORKS',
      '10.0.0.0/8,ten',
      'VCC_NETWORKS networks[1]: "ten" does not have the right form | such as 10.0.0.0/8',
    ],
  ]
  for (const [variable, value, problem] of wrong) {
    test(`${variable}=${value} is refused by its name`, () => {
      expect(problemsOf(() => parse('listen: { port: 1 }', { env, environment: { [variable]: value } }))).toEqual([
        problem,
      ])
    })
  }

  test('a file whose group is no group stays refused under an override', () => {
    const problems = problemsOf(() => parse('listen: 5', { env, environment: { VCC_LISTEN_PORT: '1' } }))
    expect(problems).toEqual(['agent.yaml:1:1 listen: expected a group of fields, found 5'])
  })

  test('a table that lets a secret itself in is a mistake', () => {
    expect(() => parse('', { env: { VCC_API_TOKEN: 'keyFile' } })).toThrow(TypeError)
  })

  test('a table that names an absent field is a mistake', () => {
    expect(() => parse('', { env: { VCC_X: 'listen.nope' } })).toThrow(TypeError)
  })
})

describe('what fields mean together', () => {
  const check: ConfigOptions<typeof Shape>['check'] = (config, report) => {
    if (config.audit && config.networks.length === 0) report('networks', 'needed with audit', 'add one')
  }

  test('is reported at the line of the field', () => {
    expect(problemsOf(() => parse('listen: { port: 1 }\naudit: true\nnetworks: []', { check }))).toEqual([
      'agent.yaml:3:1 networks: needed with audit | add one',
    ])
  })

  test('is not asked while a field by itself is wrong', () => {
    expect(problemsOf(() => parse('listen: { port: 0 }\naudit: true', { check }))).toHaveLength(1)
  })
})

describe('shapes', () => {
  test('an open object is a mistake', () => {
    expect(() => parseYamlConfig('', 'a', Type.Object({ a: Type.String() }))).toThrow(/not CLOSED/)
  })
  test('a keyword that nothing checks is a mistake', () => {
    expect(() => parseYamlConfig('', 'a', Type.Object({ a: Type.Integer({ multipleOf: 2 }) }, CLOSED))).toThrow(
      /multipleOf/,
    )
  })
  test('alternatives that nothing tells apart are a mistake', () => {
    const open = Type.Object({ a: Type.Union([Type.String(), Type.Integer()]) }, CLOSED)
    expect(() => parseYamlConfig('', 'a', open)).toThrow(/told apart/)
  })
})

describe('files', () => {
  test('a file is read', async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'vcc-config-')), 'agent.yaml')
    await writeFile(path, 'listen: { port: 8443 }')
    expect((await readYamlConfig(path, Shape, { environment: {} })).listen.port).toBe(8443)
  })

  test('a missing file is a problem of the configuration', async () => {
    await expect(readYamlConfig('/nonexistent/agent.yaml', Shape)).rejects.toThrow(
      expect.objectContaining({ name: 'ConfigError', hint: '--config names another' }),
    )
  })

  test('more than 1 MiB is refused', async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'vcc-config-')), 'agent.yaml')
    await writeFile(path, `#${' '.repeat(1_048_576)}`)
    await chmod(path, 0o600)
    await expect(readYamlConfig(path, Shape)).rejects.toThrow(expect.objectContaining({ code: 'file_too_large' }))
  })
})

const near: readonly [word: string, meant: string | undefined][] = [
  ['prot', 'port'],
  ['por', 'port'],
  ['Host', 'host'],
  ['allowd_outbound', 'allowed_outbound'],
  ['xyz', undefined],
  ['', undefined],
  ['a'.repeat(100), undefined],
]
for (const [word, meant] of near) {
  test(`"${word.slice(0, 20)}" means ${meant ?? 'nothing we know'}`, () => {
    expect(didYouMean(word, ['port', 'host', 'allowed_outbound'])).toBe(meant)
  })
}

test('the reference lists every field with type, default, variable and meaning', () => {
  const reference = configReference('Agent', Shape, { VCC_LISTEN_PORT: 'listen.port' })
  expect(reference).toMatchInlineSnapshot(`
    "# Agent

    | field | type | default | variable | meaning |
    |---|---|---|---|---|
    | \`listen\` | group | **required** |  |  |
    | \`listen.host\` | string | \`"127.0.0.1"\` |  | Address to listen on |
    | \`listen.port\` | integer (1…65535) | **required** | \`VCC_LISTEN_PORT\` | TCP port |
    | \`level\` | \`info\`, \`debug\`, \`warn\` | \`"info"\` |  | Log level |
    | \`refresh\` | duration (1s…1d) | \`"10m"\` |  | How often |
    | \`keyFile\` | secret file |  |  | Wrapping key |
    | \`networks\` | list of string | \`[]\` |  |  |
    | \`audit\` | boolean | \`false\` |  |  |
    | \`ratio\` | number (0…1) |  |  |  |
    | \`upstreams\` | named groups |  |  |  |
    | \`upstreams.<name>.host\` | string | \`"127.0.0.1"\` |  | Address to listen on |
    | \`upstreams.<name>.port\` | integer (1…65535) | **required** |  | TCP port |
    | \`target\` | one of |  |  |  |
    | \`target(kind: tcp).kind\` | \`tcp\` | **required** |  |  |
    | \`target(kind: tcp).port\` | integer (1…65535) | **required** |  |  |
    | \`target(kind: unix).kind\` | \`unix\` | **required** |  |  |
    | \`target(kind: unix).path\` | string | **required** |  |  |
    "
  `)
  expect(configReference('Agent', Shape, { VCC_LISTEN_PORT: 'listen.port' })).toBe(reference)
})
