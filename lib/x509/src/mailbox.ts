import { isDnsName } from './dns-name.ts'

/**
 * Local part and host (lower case) of a Mailbox with a domain; undefined for anything else. What stands between quotation
 * marks may hold an @, as RFC 5321 §4.1.2 allows, so that nobody finds another host in it.
 */
export function mailboxParts(text: string): { local: string; host: string } | undefined {
  const [, local, domain] = MAILBOX.exec(text) ?? []
  const host = domain?.toLowerCase()
  return local !== undefined && host !== undefined && isDnsName(host) ? { local, host } : undefined
}

const MAILBOX = /^([\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*|"(?:[ !#-[\]-~]|\\[ -~])*")@([A-Za-z0-9.-]+)$/
