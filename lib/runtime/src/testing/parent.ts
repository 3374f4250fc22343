/** Starts a child and waits. Started by child.test.ts. */
import { startChild } from '../child.ts'
import { programArguments, writeOut } from '../host.ts'

const [module = ''] = programArguments()
const { process: child } = startChild(new URL(module))
writeOut(`${child.pid}\n`)
