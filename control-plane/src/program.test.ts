import type { Command } from '@vcc/runtime'
import { expect, test } from 'vitest'
import { program } from './program.ts'

/** A command and everything below it, in the order the help lists them. */
function withChildren(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withChildren)]
}

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 100 })
  command.outputHelp()
  return text
}

const leaves = () => withChildren(program()).filter((command) => command.commands.length === 0)

test('the help of every command is as in help.golden.txt', async () => {
  const texts = withChildren(program()).map(helpOf)
  await expect(texts.join(`\n${'-'.repeat(80)}\n\n`)).toMatchFileSnapshot('help.golden.txt')
})

test('every command that prints a result prints JSON too', () => {
  const without = leaves().filter((command) => !command.options.some((option) => option.long === '--format'))
  expect(without.map((command) => command.name())).toEqual(WITHOUT_RESULT)
})

test('no command takes a secret on the command line', () => {
  const options = leaves().flatMap((command) => command.options.map((option) => option.flags))
  expect(options.filter((flags) => /token|password|secret|-key\b/.test(flags))).toEqual(NAMED_AFTER_SECRETS)
})

/** `run` prints a log, `fingerprint` the one line that others read. */
const WITHOUT_RESULT = ['run', 'fingerprint']
/** Which kind of key, not the key. */
const NAMED_AFTER_SECRETS = ['--root-key <kind>']
