import { join } from 'node:path'
import { run } from '../../harness/process.ts'
import { type Check, outcomeOf, refusalOf } from '../check.ts'

export const CURL: readonly Check[] = [
  {
    tool: 'curl',
    check: 'the API, both sides verified',
    async *run({ path }, { meshes, subjects }) {
      for (const { rootKey, control, agent } of meshes) {
        const root = subjects.find(({ name }) => name === `${rootKey} mesh-root`)?.certFile ?? ''
        const { agents } = control.ports
        const to = ['--silent', '--show-error', '--fail', '--max-time', '60', '--cacert', root]
        const named = ['--resolve', `control.vcc.internal:${agents}:127.0.0.1`]
        const url = (route: string) => `https://control.vcc.internal:${agents}/api/v1/${route}`
        const identity = join(agent.stateFolder, 'identity.pem')
        const admin = ['--cert', control.adminFile]
        yield outcomeOf(
          `${rootKey} an admin asks for the CAs`,
          await run(path, [...to, ...named, ...admin, url('ca/list')]),
          'mesh-root',
        )
        yield outcomeOf(
          `${rootKey} an agent pulls its state`,
          await run(path, [...to, ...named, '--cert', identity, url('mesh/state')]),
          '"document"',
        )
        yield refusalOf(
          `${rootKey} another name than the certificate's is refused`,
          await run(path, [...to, ...admin, `https://127.0.0.1:${agents}/api/v1/ca/list`]),
        )
      }
    },
  },
]
