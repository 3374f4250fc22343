#!/usr/bin/env node
import { assertNodeVersion, runCli } from '@vcc/runtime'
import { explainError } from './explain.ts'
import { program } from './program.ts'

assertNodeVersion(26)
await runCli(program(), { explain: explainError })
