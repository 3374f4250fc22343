/** Opens a token and holds it until it is killed. Started by connection.test.ts. */
import { readStdin, writeOut } from '@vcc/runtime'
import { openPkcs11Store } from '../pkcs11/store.ts'

const options = JSON.parse((await readStdin(10_000)).toString('utf8'))
await openPkcs11Store(
  { ...options, readPin: async () => '1234' },
  {
    events: {
      started: ({ pid }) => writeOut(`${pid}\n`),
      lost: () => {},
      unavailable: () => {},
      operation: () => {},
    },
  },
)
