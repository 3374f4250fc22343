import type { Random } from '../random.ts'

/** Text with lines removed, doubled, exchanged and moved in or out, and with words of the language put in anywhere. */
export function mutateText(corpus: readonly string[], words: readonly [string, ...string[]], random: Random): string {
  let text = random.some(corpus) ?? ''
  for (let left = 1 + random.int(random.oneIn(4) ? 8 : 3); left > 0; left--) text = changed(text, corpus, words, random)
  return text
}

function changed(
  text: string,
  corpus: readonly string[],
  words: readonly [string, ...string[]],
  random: Random,
): string {
  const at = random.int(text.length + 1)
  const lines = text.split('\n')
  const line = random.int(lines.length)
  switch (random.int(10)) {
    case 0:
      return lines.toSpliced(line, 1).join('\n')
    case 1:
      return lines.toSpliced(line, 0, lines[random.int(lines.length)] ?? '').join('\n')
    case 2:
      return lines.with(line, lines[random.int(lines.length)] ?? '').join('\n')
    case 3:
      return lines.with(line, `${' '.repeat(random.int(6))}${(lines[line] ?? '').trimStart()}`).join('\n')
    case 4:
      return text.slice(0, at) + text.slice(at + 1 + random.int(20))
    case 5:
      return text.slice(0, at)
    case 6: {
      const foreign = (random.some(corpus) ?? '').split('\n')
      return lines.toSpliced(line, 0, foreign[random.int(foreign.length)] ?? '').join('\n')
    }
    case 7: {
      const word = random.pick(words)
      return text.slice(0, at) + word.repeat(random.oneIn(20) ? 3000 : 1 + random.int(12)) + text.slice(at)
    }
    default:
      return text.slice(0, at) + random.pick(words) + text.slice(at + random.int(3))
  }
}
