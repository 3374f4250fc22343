/** What this agent calls itself towards the control plane and on the command line. */
export const AGENT_VERSION = '0.1.0'
