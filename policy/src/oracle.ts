import type { Call } from './decide.ts'
import type { Fields, Mesh } from './meshes.ts'
import { parseWorkloadId } from './workload-id.ts'

/**
 * The meaning of a mesh said a second time, as naively as possible: no compilation, no index, no order. Property tests
 * hold `decide` against it.
 */
export function allows(mesh: Mesh, call: Call): boolean {
  const source = parseWorkloadId(call.source)
  const target = parseWorkloadId(call.target)
  const home = fieldsOf(mesh, source.organization, source.service)
  if (home === undefined || isExternal(mesh, source)) return false
  const external = isExternal(mesh, target)
  const callee = fieldsOf(mesh, target.organization, target.service)
  if (callee === undefined && !external) return false
  const isAbsent = ({ organization, service }: Name) => mesh.unregistered.includes(`${organization}/${service}`)
  if (isAbsent(source) || (!external && isAbsent(target))) return false
  const high = callee?.isolation_level === 'high'
  if (external && high) return false

  const same = source.organization === target.organization
  if (same && !reaches(home, target.service, high)) return false
  if (!same) {
    if (!(home.allowed_outbound ?? []).includes(`${target.organization}/${target.service}`)) return false
    const admission = fieldsOf(mesh, target.organization, `${source.organization}/${source.service}`)
    if (admission === undefined || !reaches(admission, target.service, high)) return false
    if (admission.required_auth !== undefined && admission.required_auth !== call.sourceClass) return false
  }
  if (!classes(mesh, source, home).includes(call.sourceClass)) return false
  if (external || callee === undefined) return call.targetClass === 'no-certificate'
  return classes(mesh, target, callee).includes(call.targetClass)
}

interface Name {
  readonly organization: string
  readonly service: string
}

function fieldsOf(mesh: Mesh, organization: string, key: string): Fields | undefined {
  return organization === 'brandenburg' ? mesh.brandenburg[key] : mesh.partner[key]
}

function isExternal(mesh: Mesh, { organization, service }: Name): boolean {
  return mesh.externals.includes(`${organization}/${service}`)
}

function reaches(fields: Fields, service: string, high: boolean): boolean {
  return (fields.allowed_outbound ?? []).some((pattern) => {
    if (pattern === service) return true
    if (high) return false
    if (pattern.startsWith('*')) return service.endsWith(pattern.slice(1))
    return pattern.endsWith('*') && service.startsWith(pattern.slice(0, -1))
  })
}

function classes(mesh: Mesh, { organization, service }: Name, fields: Fields): readonly (string | undefined)[] {
  const changing = organization === 'brandenburg' && mesh.changing.includes(service)
  return changing ? [fields.required_auth, 'two'] : [fields.required_auth]
}
