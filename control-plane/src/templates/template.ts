import { readFileSync } from 'node:fs'
import { CLOSED, DurationField, parseYamlConfig } from '@vcc/runtime'
import { Type } from 'typebox'
import { DomainError } from '../errors.ts'

export interface Template {
  readonly id: string
  readonly profile: 'service' | 'admin'
  /** What a certificate gets, and the most it may ask for. */
  readonly validityMs: number
  readonly keys: readonly string[]
  readonly autoRenewal: boolean
  /** What is left of the validity when it is renewed. */
  readonly renewalThresholdMs: number
  readonly yaml: string
}

export type TemplateId = 'vcc-service' | 'vcc-admin'

/** The templates that come with the product. Their fields are the sources' names. */
export function builtinTemplates(): Readonly<Record<TemplateId, Template>> {
  return { 'vcc-service': builtin('vcc-service'), 'vcc-admin': builtin('vcc-admin') }
}

/** @throws {ConfigError} with every problem and its place. */
function parseTemplate(yaml: string, fileName: string): Template {
  const parsed = parseYamlConfig(yaml, fileName, Shape, {
    environment: {},
    check(template, report) {
      if (template.renewal_threshold.ms >= template.validity_period.ms) {
        report('renewal_threshold', 'must be shorter than validity_period')
      }
    },
  })
  return {
    id: parsed.template_id,
    profile: parsed.profile,
    validityMs: parsed.validity_period.ms,
    keys: parsed.keys,
    autoRenewal: parsed.auto_renewal,
    renewalThresholdMs: parsed.renewal_threshold.ms,
    yaml,
  }
}

/** A validity asked for may be shorter than the template's, never longer. @throws {DomainError} `validity_refused` */
export function validityWithin(template: Template, askedMs: number | undefined): number {
  if (askedMs === undefined) return template.validityMs
  if (askedMs > template.validityMs || askedMs < MINUTE_MS) {
    throw new DomainError(
      'validity_refused',
      `${template.id} allows one minute to ${template.validityMs / 3_600_000} h`,
    )
  }
  return askedMs
}

function builtin(id: TemplateId): Template {
  const file = new URL(`./${id}.yml`, import.meta.url)
  return parseTemplate(readFileSync(file, 'utf8'), `${id}.yml`)
}

const MINUTE_MS = 60_000

const Shape = Type.Object(
  {
    template_id: Type.String({ pattern: '^[a-z][a-z0-9-]{0,39}$' }),
    profile: Type.Enum(['service', 'admin']),
    validity_period: DurationField({ minimumMs: MINUTE_MS }),
    keys: Type.Array(Type.Enum(['P-256', 'P-384', 'RSA-3072', 'RSA-4096']), { minItems: 1 }),
    auto_renewal: Type.Boolean(),
    renewal_threshold: DurationField(),
  },
  CLOSED,
)
