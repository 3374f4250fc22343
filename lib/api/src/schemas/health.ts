import { type Static, Type } from 'typebox'
import { CLOSED } from './fields.ts'

/** Says that the process answers and may issue; says nothing about the mesh. Open to everybody. */
export const Health = Type.Object({ status: Type.Enum(['ok', 'degraded']), version: Type.String() }, CLOSED)
export type Health = Static<typeof Health>

/** The document is described by the OpenAPI specification itself. */
export const OpenApiDocument = Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true })
