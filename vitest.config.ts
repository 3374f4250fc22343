import { defineConfig } from 'vitest/config'

// vitest reads its configuration from a default export; nothing else in the tree has one.
export default defineConfig({
  test: { include: ['**/src/**/*.test.ts', 'tools/**/*.test.ts'], testTimeout: 30_000, hookTimeout: 30_000 },
})
