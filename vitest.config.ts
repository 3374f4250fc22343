import { defineConfig } from 'vitest/config'

const LIMITS = { testTimeout: 30_000, hookTimeout: 30_000 }

// `house` is about the source tree and part of `make check`; `unit` are the tests beside the code.
// vitest reads its configuration from a default export; nothing else in the tree has one.
export default defineConfig({
  test: {
    projects: [
      {
        test: { name: 'unit', include: ['**/{src,cli,web}/**/*.test.ts'], exclude: ['**/node_modules/**'], ...LIMITS },
      },
      { test: { name: 'house', include: ['tools/**/*.test.ts'], ...LIMITS } },
    ],
  },
})
