import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'
import { DomainError } from '../errors.ts'

/** Bodies are taken as they are; path and query text is converted to the numbers and booleans its schema names. */
export function validator(schema: object, httpPart: string | undefined) {
  const compiled = Compile(schema)
  return (value: unknown) => {
    const given = httpPart === 'body' ? value : Value.Convert(schema, value)
    if (compiled.Check(given)) return { value: given }
    const faults = compiled
      .Errors(given)
      .slice(0, 20)
      .map((fault) => ({ at: `${httpPart ?? 'request'}${fault.instancePath}`, message: fault.message }))
    return { error: new DomainError('request_invalid', `${httpPart ?? 'request'} does not fit its schema`, { faults }) }
  }
}
