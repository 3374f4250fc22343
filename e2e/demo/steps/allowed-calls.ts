import type { Mesh } from '../../harness/mesh.ts'
import { eventually } from '../../harness/process.ts'
import { expect, seen } from '../report.ts'
import { call, callerSeen } from './call.ts'

const ALLOWED = [
  ['argus', 'covina'],
  ['argus', 'clara'],
  ['argus', 'vpb'],
  ['covina', 'clara'],
  ['covina', 'veritas'],
  ['clara', 'covina'],
  ['veritas', 'covina'],
  ['veritas', 'clara'],
  ['vpb', 'argus'],
  ['vpb', 'covina'],
] as const

/** Every edge of the matrix, called for real; then what the callee's agent wrote about the wire. */
export async function allowedCalls(mesh: Mesh): Promise<void> {
  for (const [source, target] of ALLOWED) {
    const answer = await eventually(`${source} reaches ${target}`, async () => {
      const one = await call(`${mesh.agent(source).url(target)}/work`)
      return one.status === 200 ? one : undefined
    })
    const caller = callerSeen(answer.body)
    expect(answer.body.service === target, `${target} answers`, answer.body)
    expect(caller.includes(`/svc/${source}"`), `${target} learns that ${source} calls`, caller)
    seen(`${source} → ${target}: 200, x-vcc-caller: ${caller}`)
  }
  const wire = await eventually('the self-check of covina’s listener', async () => {
    const status = JSON.stringify(await mesh.agent('covina').status())
    return /TLSv1\.3/.test(status) ? status : undefined
  })
  const cipher = /TLS_AES_\d+_GCM_SHA\d+/.exec(wire)?.[0]
  const group = /SecP256r1MLKEM768|X25519MLKEM768|P-256|prime256v1/.exec(wire)?.[0]
  expect(cipher !== undefined, 'the wire is TLS 1.3 with AES-GCM', wire.slice(0, 400))
  seen(
    `the wire between agents: TLSv1.3, ${cipher}, key exchange ${group ?? 'not named'}; both sides showed certificates`,
  )
}
