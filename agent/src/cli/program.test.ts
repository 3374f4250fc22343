import { CliError, type Command } from '@vcc/runtime'
import { expect, test } from 'vitest'
import { AgentError } from '../errors.ts'
import { ListenError } from '../proxy/endpoint.ts'
import { explainError, program } from './program.ts'

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 100 })
  command.outputHelp()
  return text
}

test('the help of every command is as in help.golden.txt', async () => {
  const root = program()
  const texts = [root, ...root.commands].map(helpOf)
  await expect(texts.join(`\n${'-'.repeat(80)}\n\n`)).toMatchFileSnapshot('help.golden.txt')
})

test('every command that prints a result prints JSON too', () => {
  for (const command of program().commands) {
    const flags = command.options.map((option) => option.long)
    expect([command.name(), flags.includes('--format')]).toEqual([command.name(), command.name() !== 'run'])
  }
})

test('no command takes a secret on the command line', () => {
  const options = program().commands.flatMap((command) => command.options.map((option) => option.flags))
  expect(options.filter((flags) => /token|key|password|secret/.test(flags))).toEqual(['--token-file <file>'])
})

test('a failure keeps its hint, and the code of whoever refused', () => {
  const shown = explainError(
    new AgentError('control_refused', 'the control plane refuses: no', { reason: 'token_bound', exit: 'conflict' }),
  )
  expect(shown).toMatchObject({ exit: 'conflict', code: 'control_refused: token_bound' })
  expect(explainError(new AgentError('not_joined', 'there is no identity'))?.hint).toContain('vcc-agent join')
})

test('an address in use is explained, other errors are left alone', () => {
  expect(explainError(new ListenError('listen_failed', 'cannot listen on 127.0.0.1:1'))).toBeInstanceOf(CliError)
  expect(explainError(new Error('what'))).toBeUndefined()
})
