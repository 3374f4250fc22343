/** Replaces a file with one letter after another until it is killed. Started by file.test.ts. */
import { writeFileAtomic } from '../file.ts'
import { programArguments, writeOut } from '../host.ts'

const [path = '', size = '0'] = programArguments()
for (let round = 0; ; round++) {
  await writeFileAtomic(path, String.fromCharCode(66 + (round % 25)).repeat(Number(size)))
  if (round === 0) writeOut('writing\n')
}
