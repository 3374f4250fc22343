import { PROBLEMS, ProblemDocument, ROUTES, type Route } from '@vcc/api'

/**
 * The contract as OpenAPI 3.1, made from the route table alone. What is served is what is committed under
 * `docs/reference/openapi.json`.
 */
export function openApiDocument(version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const [operationId, route] of Object.entries(ROUTES) as [string, Route][]) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(operationId, route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'VCC-PKI control plane', version, license: { name: 'EUPL-1.2', identifier: 'EUPL-1.2' } },
    servers: [{ url: 'https://control.vcc.internal:8444', description: 'mutual TLS' }],
    paths,
    components: {
      schemas: { Problem: plain(ProblemDocument) },
      securitySchemes: {
        clientCertificate: { type: 'mutualTLS', description: 'An agent’s certificate, or one of the Admin CA.' },
      },
    },
    'x-problem-codes': Object.fromEntries(
      Object.entries(PROBLEMS).map(([code, { status, title }]) => [code, { status, title }]),
    ),
  }
}

function operation(operationId: string, route: Route): Record<string, unknown> {
  const status = String(route.status ?? 200)
  return {
    operationId,
    summary: route.summary,
    tags: [route.tag],
    ...(route.access === 'open'
      ? { security: [] }
      : { security: [{ clientCertificate: [] }], 'x-access': route.access }),
    ...(route.params || route.query
      ? { parameters: [...parameters(route.params, 'path'), ...parameters(route.query, 'query')] }
      : {}),
    ...(route.body
      ? { requestBody: { required: true, content: { 'application/json': { schema: plain(route.body) } } } }
      : {}),
    responses: {
      [status]: {
        description: route.summary,
        content: { [route.produces ?? 'application/json']: { schema: plain(route.response) } },
      },
      default: {
        description: 'A problem document (RFC 9457)',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  }
}

function parameters(schema: object | undefined, where: 'path' | 'query'): unknown[] {
  const { properties = {}, required = [] } = plain(schema ?? {}) as {
    properties?: Record<string, unknown>
    required?: string[]
  }
  return Object.entries(properties).map(([name, value]) => ({
    name,
    in: where,
    required: required.includes(name),
    schema: value,
  }))
}

/** Schemas carry symbols of the library that made them; the document is plain JSON. */
function plain(schema: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(schema)) as Record<string, unknown>
}
