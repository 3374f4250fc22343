import type { ProfileName } from '@vcc/x509'

/** The CAs that `init` makes, roots first. A partner's External CA comes with its organisation. */
export const HIERARCHY = {
  roots: [
    { profile: 'mesh-root', commonName: 'VCC Mesh Root' },
    { profile: 'artifact-root', commonName: 'VCC Artifact Root' },
    { profile: 'evidence-root', commonName: 'VCC Evidence Root' },
  ],
  issuing: [
    { profile: 'services-ca', commonName: 'VCC Services CA', root: 'mesh-root', years: 3 },
    { profile: 'admin-ca', commonName: 'VCC Admin CA', root: 'mesh-root', years: 3 },
    { profile: 'control-ca', commonName: 'VCC Control CA', root: 'mesh-root', years: 3 },
    { profile: 'code-signing-ca', commonName: 'VCC Code Signing CA', root: 'artifact-root', years: 5 },
    { profile: 'tsa-ca', commonName: 'VCC TSA CA', root: 'evidence-root', years: 9 },
  ],
} as const satisfies {
  readonly roots: readonly { profile: ProfileName; commonName: string }[]
  readonly issuing: readonly { profile: ProfileName; commonName: string; root: ProfileName; years: number }[]
}

export const ROOT_YEARS = 10

/** No classical signature alone is to be relied on after this (BSI TR-02102-1). */
export const CLASSICAL_SIGNATURES_END = new Date('2035-12-31T23:59:59Z')

/** Where the name constraints of a profile apply; CAs off the mesh name no hosts. */
export const CONSTRAINED: ReadonlySet<ProfileName> = new Set(['services-ca', 'external-ca', 'admin-ca', 'control-ca'])

/** CAs that grant classes. */
export const GRANTS_CLASSES: ReadonlySet<ProfileName> = new Set(['services-ca', 'external-ca'])
