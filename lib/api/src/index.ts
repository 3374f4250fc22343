export { type ApiClient, ApiProblem, apiClient, type ClientOptions } from './client.ts'
export { PROBLEMS, type Problem, type ProblemCode } from './problems.ts'
export {
  type Permission,
  ROUTES,
  type Route,
  type RouteAccess,
  type RouteInput,
  type RouteName,
  type RouteOutput,
} from './routes.ts'
export * from './schemas/certificates.ts'
export * from './schemas/crl.ts'
export * from './schemas/fields.ts'
export * from './schemas/health.ts'
export * from './schemas/keys.ts'
export * from './schemas/mesh.ts'
export * from './schemas/policies.ts'
export * from './schemas/problem.ts'
export * from './schemas/registry.ts'
export * from './schemas/revocation.ts'
