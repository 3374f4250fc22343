import { readdir, readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import type { MeshAgent } from '../../harness/agent.ts'
import type { Mesh } from '../../harness/mesh.ts'
import { expect, say, seen } from '../report.ts'
import { type Answer, call } from './call.ts'

/** Calls the matrix does not allow, through the own agent, and past it with the stolen identity of a service. */
export async function forbiddenCalls(mesh: Mesh): Promise<void> {
  for (const [source, target] of [
    ['argus', 'veritas'],
    ['vpb', 'veritas'],
    ['clara', 'argus'],
  ] as const) {
    const { status, body } = await call(`${mesh.agent(source).url(target)}/work`)
    expect(status === 403 && body.side === 'caller', `${source} → ${target} is refused by the caller’s agent`, {
      status,
      body,
    })
    seen(`${source} → ${target}: ${status} by ${source}’s own agent, rule ${body.rule} (${body.code})`)
  }
  say('now the caller’s agent is bypassed: somebody took vpb’s key and certificate and dials veritas’ agent directly')
  const { status, body } = await callDirectly(mesh.agent('vpb'), mesh.agent('veritas'))
  expect(status === 403 && body.rule !== undefined, 'veritas’ agent refuses by itself', { status, body })
  seen(`vpb ⇒ veritas, past its agent: ${status} by veritas’ agent, rule ${body.rule} (${body.code})`)
}

/** TLS with the identity file of an agent, as `curl --cert` would do it. */
async function callDirectly(thief: MeshAgent, target: MeshAgent): Promise<Answer> {
  const pem = await identityOf(thief)
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: target.inboundPort,
        path: '/work',
        key: pem,
        cert: pem,
        // The thief does not care who answers.
        rejectUnauthorized: false,
        timeout: 30_000,
      },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Answer['body'] }),
        )
      },
    )
    sent.on('error', reject)
    sent.end()
  })
}

/** The one file with key and chain in an agent's state folder. */
async function identityOf(agent: MeshAgent): Promise<string> {
  for (const name of await readdir(agent.stateFolder)) {
    if (!name.endsWith('.pem')) continue
    const text = await readFile(join(agent.stateFolder, name), 'utf8')
    if (text.includes('PRIVATE KEY') && text.includes('BEGIN CERTIFICATE')) return text
  }
  throw new Error(`there is no identity file in ${agent.stateFolder}`)
}
