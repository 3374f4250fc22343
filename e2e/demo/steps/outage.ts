import type { Mesh } from '../../harness/mesh.ts'
import { eventually } from '../../harness/process.ts'
import { startLoad } from '../load.ts'
import { expect, quote, say, seen } from '../report.ts'

/** Control plane and broker are killed without warning; the mesh goes on, says so, and comes back by itself. */
export async function outage(mesh: Mesh): Promise<void> {
  const [ofArgus, ofVeritas] = [
    `${mesh.agent('argus').url('covina')}/load`,
    `${mesh.agent('veritas').url('clara')}/load`,
  ]
  const load = startLoad([ofArgus, ofVeritas])
  try {
    await mesh.control.process().stop('SIGKILL')
    say('kill -9 vcc-control: API and broker are gone')
    const atKill = load.requests()
    await eventually(
      'argus’ agent notices the outage',
      async () => {
        const { stdout } = await mesh.agent('argus').cli('status')
        if (!stdout.includes('OUTAGE')) return undefined
        quote('vcc-agent status   (the lines about the control plane)', linesAbout(stdout))
        return stdout
      },
      SEEN_MS,
    )
    await mesh.agent('argus').restart()
    say('argus’ agent is restarted meanwhile: it works on the signed state on its disk')
    await eventually('calls go on', () => load.requests() > atKill + 200)
    seen(`${load.requests() - atKill} requests without control plane and broker`)
    await mesh.control.restart()
    say('vcc-control runs again on the same database')
    await eventually(
      'all agents are back',
      async () => {
        const status = await mesh.control.pkiJson('status')
        return status['connected'] === 5 && status['in_force'] === 5
      },
      SEEN_MS,
    )
    const answer = await mesh.control.pkiJson('instances', 'rotate', '--all', '--wait', '60s')
    expect(answer['renewed'] === 5, 'rotation works again', answer)
  } finally {
    await load.stop()
  }
  const failures = load.failures().filter((one) => !isRestart(one, ofArgus))
  expect(failures.length === 0, 'no request failed but those to the agent that was restarted', failures.slice(0, 5))
  seen(`${load.requests()} requests in all; 5 of 5 agents are back and have renewed`)
}

/** An agent pulls every minute at least, and waits a minute at most between two attempts. */
const SEEN_MS = 120_000

/** An agent that is restarted says so, and then nobody listens on its port: that is the restart, not the outage. */
function isRestart(failure: string, url: string): boolean {
  return (
    failure.startsWith(url) && /503 .*"draining"|ECONNREFUSED|other side closed|ECONNRESET|socket hang up/.test(failure)
  )
}

function linesAbout(status: string): string {
  return status
    .split('\n')
    .filter((line) => /control|broker|outage|until|unreachable|away/i.test(line))
    .join('\n')
}
