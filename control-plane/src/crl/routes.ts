import type { CrlInfo, CrlStatus } from '@vcc/api'
import { encodePem } from '@vcc/x509'
import { appendAudit } from '../audit/append.ts'
import type { Authorities } from '../authority/authority.ts'
import { epochSeconds, isoOf } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { AdminCaller } from '../http/caller.ts'
import type { Handlers, RequestContext } from '../http/handlers.ts'
import type { CrlDeps } from './issue.ts'
import { crlUrl, deltaUrl, type Scope } from './scope.ts'
import { type CrlKind, type CrlMark, type CrlRow, crlMarks, crlRow } from './store.ts'
import type { CrlUpkeep } from './upkeep.ts'

export interface CrlRouteDeps extends CrlDeps {
  readonly authorities: Authorities
  readonly upkeep: CrlUpkeep
}

type CrlRoutes =
  | 'crlFull'
  | 'crlFullPem'
  | 'crlDelta'
  | 'crlInfo'
  | 'crlStatus'
  | 'crlRegenerate'
  | 'crlStart'
  | 'crlStop'
  | 'crlOfCa'

/** CRLs as administrators see them; verifiers fetch them over plain HTTP. */
export function crlRoutes(deps: CrlRouteDeps): Pick<Handlers, CrlRoutes> {
  const scopeOf = ({ ca, shard }: { ca?: string; shard?: number }): Scope => ({
    caId: ca ?? deps.authorities.issuing('services-ca').caId,
    shard: shard ?? 0,
  })
  const der = async (scope: Scope, kind: CrlKind) => (await served(scope, kind, deps)).der
  const status = async (): Promise<CrlStatus> => statusView(await deps.database.read(crlMarks), deps)
  const switchTo = async (running: boolean, { caller, requestId }: RequestContext<AdminCaller>) => {
    await deps.database.runUnit(() =>
      appendAudit(
        {
          event: 'SYS-03',
          outcome: 'success',
          reasonCode: running ? 'crl_started' : 'crl_stopped',
          actor: { type: 'human', ref: caller.ref },
          target: { type: 'component', id: 'crl' },
          requestId,
        },
        deps.audit,
      ),
    )
    deps.upkeep.setRunning(running)
    return status()
  }
  return {
    crlFull: ({ query }) => der(scopeOf(query), 'full'),
    crlFullPem: async ({ query }) => Buffer.from(encodePem('X509 CRL', await der(scopeOf(query), 'full'))),
    crlDelta: ({ query }) => der(scopeOf(query), 'delta'),
    crlOfCa: ({ params }) => der({ caId: params.ca_id, shard: 0 }, 'full'),
    async crlInfo({ query }) {
      const marks = await deps.database.read(crlMarks)
      const asked = marks.filter(
        (mark) =>
          (query.ca === undefined || mark.issuing_ca_id === query.ca) &&
          (query.shard === undefined || mark.shard === query.shard),
      )
      return { items: asked.map((mark) => infoView(mark, deps)) }
    },
    crlStatus: status,
    async crlRegenerate({ body }) {
      const marks = await deps.upkeep.regenerate(body.ca_id)
      return { items: marks.map((mark) => infoView(mark, deps)) }
    },
    crlStart: (_, context) => switchTo(true, context),
    crlStop: (_, context) => switchTo(false, context),
  }
}

/** @throws {DomainError} `crl_unknown` */
async function served(scope: Scope, kind: CrlKind, deps: CrlRouteDeps): Promise<CrlRow> {
  const row = await deps.database.read(() => crlRow(scope, kind))
  if (row === undefined) throw new DomainError('crl_unknown', `there is no such CRL of ${scope.caId}`)
  return row
}

function infoView(mark: CrlMark, { authorities, installation }: CrlRouteDeps): CrlInfo {
  const scope = { caId: mark.issuing_ca_id, shard: mark.shard }
  return {
    ca_id: mark.issuing_ca_id,
    authority: authorities.byId(mark.issuing_ca_id).name,
    shard: mark.shard,
    kind: mark.kind,
    number: mark.number,
    base_number: mark.base_number,
    this_update: isoOf(mark.this_update),
    next_update: isoOf(mark.next_update),
    entries: mark.entries,
    sha256: mark.sha256,
    url: (mark.kind === 'full' ? crlUrl : deltaUrl)(scope, installation.statusUrl),
  }
}

function statusView(marks: readonly CrlMark[], deps: CrlRouteDeps): CrlStatus {
  const at = epochSeconds(deps.now())
  const first = Math.min(...marks.map((mark) => mark.next_update))
  return {
    running: deps.upkeep.isRunning(),
    full_interval_seconds: deps.intervals.fullSeconds,
    delta_interval_seconds: deps.intervals.deltaSeconds,
    outage_budget_seconds: deps.installation.outageBudgetMs / 1000,
    crls: marks.length,
    first_next_update: marks.length === 0 ? null : isoOf(first),
    late: marks
      .filter((mark) => isLate(mark, at))
      .map((mark) => ({ ca_id: mark.issuing_ca_id, shard: mark.shard, kind: mark.kind })),
  }
}

/** Past half of its validity: far longer than any interval, so something keeps it from being issued. */
export function isLate(mark: CrlMark, at: number): boolean {
  return at > mark.this_update + (mark.next_update - mark.this_update) / 2
}
