import { join } from 'node:path'

export const ADMIN_FILE = 'admin.pem'

/** What lies in the data folder. Secrets do not. */
export function pathsOf(data: string) {
  return { database: join(data, 'vcc.db'), keys: join(data, 'keys'), adminFile: join(data, ADMIN_FILE) }
}
