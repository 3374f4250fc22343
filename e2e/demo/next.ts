import type { Mesh } from '../harness/mesh.ts'
import { headline, suggest } from './report.ts'

/** What to try while the demo stays up. */
export function printNext(mesh: Mesh): void {
  const argus = mesh.agent('argus')
  const { control } = mesh
  headline('It stays up until Ctrl-C. Try:')
  suggest([
    `curl -s ${argus.url('covina')}/            # argus calls covina through both agents`,
    `curl -s ${argus.url('veritas')}/            # argus may not call veritas: see the rule`,
    `export PATH=$PWD/node_modules/.bin:$PATH VCC_PKI_CONFIG=${control.folder}/pki.json`,
    `node agent/src/main.ts status --config ${argus.configFile}`,
    `node agent/src/main.ts explain argus veritas --config ${argus.configFile}`,
    'node control-plane/cli/main.ts status',
    'node control-plane/cli/main.ts check argus covina',
    'node control-plane/cli/main.ts instances rotate --all',
    'node control-plane/cli/main.ts certificates list',
    `node control-plane/src/main.ts audit verify --config ${control.configFile}`,
    `tail -f ${argus.folder}/vcc-agent.log`,
  ])
}
