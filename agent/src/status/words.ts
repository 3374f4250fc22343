import { outageWords } from './outage.ts'
import type { AgentStatus } from './status.ts'

/** The status in words: what is wrong first, then who we are, what is in force, and whom we speak to. */
export function statusWords(status: AgentStatus): string {
  const { identity, listener, state, control_plane: control, service, connections } = status
  const lines: [string, string][] = [
    ['agent', status.healthy ? 'healthy' : 'NOT HEALTHY'],
    ...status.warnings.map((warning): [string, string] => ['warning', warning]),
    ['identity', `${identity.id}, instance ${identity.instance}, class ${identity.class}`],
    ['certificate', `serial ${identity.serial}, until ${identity.not_after}; ${identity.renewal}`],
    [
      'listener',
      listener === null
        ? 'has not answered its own handshake'
        : `serves serial ${listener.served_serial} over ${listener.protocol}, ${listener.cipher}, ${listener.group}`,
    ],
    [
      'state',
      state.agent === null
        ? 'none: nothing is let through'
        : `fleet ${state.fleet}, agent ${state.agent}, policy version ${state.policy_version}, signed ${state.signed_at}; ${state.enforcement}, in force until ${state.enforce_until}`,
    ],
    ['control plane', controlWords(control, state)],
    [
      'local service',
      `${service.target} (${service.mode ?? 'mode not known yet'}): ${service.health}${service.detail === null ? '' : `, ${service.detail}`}`,
    ],
    ['connections', `${connections.inbound} in, ${connections.outbound} out, ${connections.handshakes} in handshake`],
    ...status.upstreams.map((one): [string, string] => [
      `→ ${one.name}`,
      one.allowed
        ? `${one.listen}, by ${one.rule}, at ${one.addresses.join(', ') || 'no address yet'}${one.ejected > 0 ? `, ${one.ejected} left out for a while` : ''}`
        : `${one.listen}, REFUSED by ${one.rule}`,
    ]),
    ...status.callers.map((one): [string, string] => ['← caller', `${one.id}, by ${one.rule}`]),
    ...status.recorded_not_enforced.map((one): [string, string] => ['recorded', `not enforced: ${one}`]),
  ]
  const width = Math.max(...lines.map(([name]) => name.length))
  return lines.map(([name, text]) => `${name.padEnd(width)}  ${text}`).join('\n')
}

function controlWords(control: AgentStatus['control_plane'], state: AgentStatus['state']): string {
  const api = control.api === 'reachable' ? 'API reachable' : `API unreachable since ${control.api_down_since}`
  const broker = control.broker === 'connected' ? 'broker connected' : `broker away since ${control.broker_down_since}`
  const outage = control.api === 'unreachable' && control.broker === 'away'
  return `${api}, ${broker}${outage ? `; OUTAGE: ${outageWords(state)}` : ''}`
}
