import type { AgentStatus } from './status.ts'

/** What goes on while neither control plane nor broker is there, with the instant at which it ends or ended. */
export function outageWords({ enforcement, enforce_until: until }: AgentStatus['state']): string {
  if (until === null) return 'no signed state is held: nothing is let through'
  if (enforcement === 'expired') return `nothing has been let through since ${until}`
  return `the agent works on what it holds until ${until}`
}
