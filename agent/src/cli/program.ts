import {
  CliError,
  type Command,
  createProgram,
  EXIT,
  type Format,
  isTerminal,
  LOG_LEVELS,
  now,
  printResult,
  setExitCode,
  showProgress,
  withFormat,
} from '@vcc/runtime'
import { askAgent } from '../admin/client.ts'
import { readAgentConfig } from '../config.ts'
import { AgentError } from '../errors.ts'
import { parseFingerprint } from '../join/fingerprint.ts'
import { joinMesh } from '../join/join.ts'
import { readJoinToken } from '../join/token.ts'
import { ListenError } from '../proxy/endpoint.ts'
import { runAgent } from '../run/run.ts'
import { isAgentStatus } from '../status/status.ts'
import { statusWords } from '../status/words.ts'
import { AGENT_VERSION } from '../version.ts'

const DEFAULT_CONFIG = '/etc/vcc-agent/vcc-agent.yml'

/** `vcc-agent`: joins, runs and explains the agent beside one instance of a service. */
export function program(): Command {
  const root = createProgram(
    'vcc-agent',
    'The agent beside one instance of a service: identity, mutual TLS, policy.',
    AGENT_VERSION,
  )
  root.addHelpText('after', HELP)
  addJoin(root)
  addRun(root)
  addStatus(root)
  addExplain(root)
  addDrain(root)
  addLogLevel(root)
  return root
}

const HELP = `
First steps, beside the service:
  vcc-agent join --fingerprint sha256:… --token-file argus.token
  vcc-agent run
  vcc-agent status

A configuration of a dozen lines (/etc/vcc-agent/vcc-agent.yml):
  state: /var/lib/vcc-agent
  control: https://control.vcc.internal:8444
  inbound:
    listen: 10.20.1.7:9443
    target: 127.0.0.1:8000
  outbound:
    covina: 127.0.0.1:15001`

const config = (command: Command) => command.option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG)

interface JoinFlags {
  readonly config: string
  readonly control?: string
  readonly fingerprint: string
  readonly tokenFile?: string
  readonly format: Format
}

function addJoin(root: Command): void {
  withFormat(config(root.command('join').description('Take part for the first time, with a join token.')))
    .requiredOption('--fingerprint <sha256>', 'of the mesh root, as `vcc-pki tokens create` printed it')
    .option('--token-file <file>', 'file with the token, mode 0600; without it, standard input')
    .option('--control <url>', 'another address of the control plane than the configuration’s')
    .addHelpText(
      'after',
      `
Examples:
  vcc-agent join --fingerprint sha256:2f21… --token-file argus.token
  vcc-pki tokens create argus | ssh argus-1 vcc-agent join --fingerprint sha256:2f21…

The token is never taken from the command line, which everybody on this machine can read.`,
    )
    .action(async (flags: JoinFlags) => {
      const file = await readAgentConfig(flags.config)
      const token = await readJoinToken({ file: flags.tokenFile, isTerminal: isTerminal('stdin') })
      using progress = showProgress('joining')
      const identity = await joinMesh(
        {
          controlUrl: (flags.control ?? file.controlUrl).replace(/\/$/, ''),
          fingerprint: parseFingerprint(flags.fingerprint),
          token,
          stateFolder: file.stateFolder,
          addresses: file.inbound.advertise,
        },
        { now, onStep: (sentence) => progress.update(sentence) },
      )
      const result = {
        instance: identity.instance,
        id: identity.workload,
        serial: identity.leaf.serialHex,
        not_after: identity.leaf.notAfter.toISOString(),
        state: file.stateFolder,
      }
      printResult(flags.format, 'Joined', result, () =>
        [
          `joined as ${identity.workload}, instance ${identity.instance}`,
          `certificate until ${result.not_after}`,
          'next: vcc-agent run',
        ].join('\n'),
      )
    })
}

function addRun(root: Command): void {
  config(root.command('run').description('Serve until SIGTERM, which drains.'))
    .addHelpText(
      'after',
      `
Examples:
  vcc-agent run
  vcc-agent run --config /etc/vcc-agent/argus.yml

The log is JSON Lines on standard output. Under systemd (Type=notify) the start is over when the first signed state is
in force and the ports are open; before that nothing is let through. SIGTERM: no new connections, readiness says 503, open ones may end until
\`drain\` is over. Exit 0 when all did, 1 when some had to be cut.`,
    )
    .action(async (flags: { config: string }) => {
      await runAgent(await readAgentConfig(flags.config))
    })
}

function addStatus(root: Command): void {
  withFormat(config(root.command('status').description('How the agent is, in words. Exit 0 when healthy, 1 when not.')))
    .addHelpText(
      'after',
      `
Examples:
  vcc-agent status
  vcc-agent status --format json | jq .state.enforce_until

What needs attention comes first. An outage of the control plane is a warning, not an illness, while the signed state
may still be worked on.`,
    )
    .action(async (flags: { config: string; format: Format }) => {
      const { adminSocket } = await readAgentConfig(flags.config)
      const status = await askAgent(adminSocket, 'GET /status')
      if (!isAgentStatus(status))
        throw new AgentError('admin_answer_invalid', 'the status of the agent is not understood')
      if (!status.healthy) setExitCode(EXIT.failed)
      printResult(flags.format, 'AgentStatus', status, statusWords)
    })
}

interface Explanation {
  readonly allowed: boolean
  readonly rule: string
  readonly code: string | null
  readonly explanation: string
}

function addExplain(root: Command): void {
  withFormat(
    config(
      root
        .command('explain <source> <target>')
        .description('May SOURCE call TARGET under the policy in force here, and why.'),
    ),
  )
    .addHelpText(
      'after',
      `
Example:
  vcc-agent explain argus covina

Exit 0 when it may, 3 when it may not. An agent knows the calls of its own service, in and out.`,
    )
    .action(async (source: string, target: string, flags: { config: string; format: Format }) => {
      const { adminSocket } = await readAgentConfig(flags.config)
      const answer = (await askAgent(adminSocket, 'POST /explain', { source, target })) as Explanation // our own socket
      if (!answer.allowed) setExitCode(EXIT.no)
      printResult(flags.format, 'Explanation', answer, (one) => one.explanation)
    })
}

function addDrain(root: Command): void {
  withFormat(
    config(
      root.command('drain').description('Stop accepting, and wait for what is open. The process stays, not ready.'),
    ),
  )
    .addHelpText('after', '\nExample:\n  vcc-agent drain && systemctl stop vcc-agent')
    .action(async (flags: { config: string; format: Format }) => {
      const file = await readAgentConfig(flags.config)
      using _ = showProgress('waiting for open connections')
      const answer = (await askAgent(file.adminSocket, 'POST /drain', undefined, file.drain.ms + 15_000)) as {
        cut: number
      } // our own socket
      printResult(flags.format, 'Drained', answer, ({ cut }) =>
        cut === 0 ? 'drained' : `drained; ${cut} connections had to be cut`,
      )
    })
}

function addLogLevel(root: Command): void {
  withFormat(config(root.command('log-level <level>').description(`Change what is logged: ${LOG_LEVELS.join(', ')}.`)))
    .addHelpText('after', '\nExample:\n  vcc-agent log-level debug')
    .action(async (level: string, flags: { config: string; format: Format }) => {
      const { adminSocket } = await readAgentConfig(flags.config)
      const answer = (await askAgent(adminSocket, 'PUT /log-level', { level })) as { level: string } // our own socket
      printResult(flags.format, 'LogLevel', answer, (one) => `log level ${one.level}`)
    })
}

/** Our own failures carry their hint and exit code with them. */
export function explainError(error: unknown): CliError | undefined {
  if (error instanceof ListenError) {
    const hint = 'another process uses the address, or it is not one of this machine'
    return new CliError('failed', error.code, error.message, { cause: error, hint })
  }
  if (!(error instanceof AgentError)) return undefined
  const code = error.reason === undefined ? error.code : `${error.code}: ${error.reason}`
  return new CliError(error.exit, code, error.message, { cause: error, hint: error.hint })
}
