import { type Static, Type } from 'typebox'
import { CLOSED } from './fields.ts'

/** RFC 9457 problem document. `code` is the stable name; `type` is `urn:vcc:problem:<code>`. */
export const ProblemDocument = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String()),
    code: Type.String(),
    hint: Type.Optional(Type.String()),
    request_id: Type.Optional(Type.String()),
    /** One row per fault, where there may be several (schema faults, a policy file). */
    errors: Type.Optional(
      Type.Array(
        Type.Object(
          {
            code: Type.Optional(Type.String()),
            at: Type.Optional(Type.String()),
            line: Type.Optional(Type.Integer()),
            column: Type.Optional(Type.Integer()),
            message: Type.String(),
            hint: Type.Optional(Type.String()),
          },
          CLOSED,
        ),
      ),
    ),
  },
  CLOSED,
)
export type ProblemDocument = Static<typeof ProblemDocument>
