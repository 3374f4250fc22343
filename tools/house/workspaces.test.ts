import { assert, test } from 'vitest'
import { importsOf, withoutComments } from './workspaces.ts'

const cases: readonly { name: string; code: string; imports: readonly string[] }[] = [
  { name: 'one line', code: "import { a } from '@vcc/x509'", imports: ['@vcc/x509'] },
  { name: 'types only', code: "import type { A } from './a.ts'", imports: ['./a.ts'] },
  { name: 'several lines', code: "import {\n  a,\n  type B,\n} from '@vcc/mesh'", imports: ['@vcc/mesh'] },
  { name: 're-export', code: "export * from './b.ts'\nexport { c } from './c.ts'", imports: ['./b.ts', './c.ts'] },
  { name: 'side effect', code: "import 'reflect-metadata'", imports: ['reflect-metadata'] },
  { name: 'dynamic', code: "const a = await import('@vcc/agent')", imports: ['@vcc/agent'] },
  { name: 'commented out', code: "// import { a } from '@vcc/agent'\n/* import 'b' */", imports: [] },
  { name: 'an address in a string', code: "const url = 'http://a' // import 'b'", imports: [] },
]

for (const { name, code, imports } of cases) {
  test(`imports: ${name}`, () => {
    assert.deepEqual(importsOf({ code: withoutComments(code) }), imports)
  })
}
