import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readControlConfig } from './config.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-config-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function read(lines: string) {
  const file = join(folder, 'vcc-control.yml')
  await writeFile(file, lines)
  return readControlConfig(file)
}

test('without a word about it the broker is the embedded one', async () => {
  expect((await read('data: /x')).broker).toEqual({})
})

test('an external broker has an address and a folder', async () => {
  const { broker } = await read('broker: { external: { url: "mqtts://b.example.org:8883", folder: /var/lib/b } }')
  expect(broker.external).toEqual({ url: 'mqtts://b.example.org:8883', folder: '/var/lib/b' })
})

const refused: readonly { name: string; lines: string; field: string }[] = [
  { name: 'no folder', lines: 'broker: { external: { url: "mqtts://b:8883" } }', field: 'broker.external.folder' },
  { name: 'no address', lines: 'broker: { external: { folder: /x } }', field: 'broker.external.url' },
  {
    name: 'a folder that is not absolute',
    lines: 'broker: { external: { url: "mqtts://b", folder: x } }',
    field: 'broker.external.folder',
  },
  ...['mqtt://b:1883', 'https://b', 'mqtts://b:99999', 'mqtts://b/path', 'mqtts://user@b', 'b:8883'].map((url) => ({
    name: `the address ${url}`,
    lines: `broker: { external: { url: "${url}", folder: /x } }`,
    field: 'broker.external.url',
  })),
]
for (const { name, lines, field } of refused) {
  test(`${name} is refused, by its field`, async () => {
    await expect(read(lines)).rejects.toMatchObject({ problems: [{ field }] })
  })
}
