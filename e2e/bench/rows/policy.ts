import { className, compile, decide, indexPolicy, parseMatrix, workloadId } from '@vcc/policy'
import { cpuMicroseconds, type Row, row } from '../row.ts'

const SERVICES = 1000
const CALLS = 200_000

/** The decision that every connection and request asks for, over a matrix of a thousand services. */
export async function policy(): Promise<readonly Row[]> {
  const name = (index: number) => `service-${index % SERVICES}`
  const yaml = [
    'service_communication_policies:',
    ...Array.from({ length: SERVICES }, (_, index) => {
      const targets = [1, 2, 3, 5, 8].map((step) => name(index + step)).join(', ')
      return `  ${name(index)}:\n    allowed_outbound: [${targets}]\n    required_auth: mtls_certificate`
    }),
  ].join('\n')
  const parsed = parseMatrix(yaml, { organization: 'brandenburg' })
  if (!parsed.ok) throw new Error('the matrix of the bench does not parse')
  const index = indexPolicy(compile({ trustDomain: 'vcc.internal', version: 1, matrices: [parsed.matrix] }))
  const ids = Array.from({ length: SERVICES }, (_, at) => workloadId('vcc.internal', 'brandenburg', name(at)))
  const mtls = className('mtls_certificate')
  const idAt = (at: number) => ids[at % SERVICES] ?? workloadId('vcc.internal', 'brandenburg', name(at))
  const ours = await cpuMicroseconds(CALLS, (at) =>
    decide(index, { source: idAt(at), sourceClass: mtls, target: idAt(at + (at % 6)), targetClass: mtls }),
  )
  return [
    row({
      id: 'policy-decide',
      what: 'one decision over 1,000 services, five in six allowed',
      unit: 'µs CPU',
      ours,
      goal: 5,
    }),
  ]
}
