/**
 * A process for tests to kill: opens the database its argument names, with the key on stdin and commits organisations
 * and audit entries, many at a time, without end; prints each one's name once it was answered.
 */
import { readFileSync } from 'node:fs'
import { programArguments, writeOut } from '@vcc/runtime'
import { appendAudit } from '../audit/append.ts'
import { openDatabase } from './open.ts'
import { change, query, type Unit } from './unit.ts'

const audit = { now: () => Temporal.Now.instant(), source: { component: 'crash-writer', build: 'test' } }

const database = openDatabase({ path: programArguments()[0] ?? '', key: readFileSync(0) }, { now: () => new Date() })
writeOut('open\n')
await Promise.all(Array.from({ length: 32 }, (_, lane) => writeWithoutEnd(lane)))

async function writeWithoutEnd(lane: number): Promise<never> {
  for (let n = 0; ; n++) {
    const name = `${lane}.${n}`
    await database.runUnit(() => add(name))
    writeOut(`${name}\n`)
  }
}

function* add(name: string): Unit<void> {
  yield* change(query.insertInto('organizations').values({ org_id: name, org_name: name, created_at: 1 }))
  const facts = { event: 'SYS-03', outcome: 'success', target: { type: 'organization', id: name } } as const
  yield* appendAudit({ ...facts, actor: { type: 'system', ref: 'crash-writer' } }, audit)
}
