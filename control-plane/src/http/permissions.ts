import type { Permission } from '@vcc/api'

/**
 * What a certificate of the Admin CA may do in the one-person profile: everything. The six roles, separation of duties
 * and dual control come with OIDC.
 */
export const ADMIN_PERMISSIONS: ReadonlySet<Permission> = new Set([
  'ca:read',
  'ca:create',
  'key:read',
  'key:generate',
  'key:destroy',
  'ca:revoke',
  'cert:read',
  'cert:request',
  'cert:revoke',
  'mesh:isolate',
  'service:read',
  'service:write',
  'policy:read',
  'policy:apply',
  'token:create',
])
