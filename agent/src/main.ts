#!/usr/bin/env node
import { assertNodeVersion, runCli } from '@vcc/runtime'
import { explainError, program } from './cli/program.ts'

assertNodeVersion(26)
await runCli(program(), { explain: explainError })
