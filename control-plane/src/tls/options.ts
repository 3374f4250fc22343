import { MESH_TLS } from '@vcc/mesh'

/** The browser-facing listener: browsers offer X25519MLKEM768 as their only hybrid group. */
export const PUBLIC_TLS = { ...MESH_TLS, ecdhCurve: `X25519MLKEM768:${MESH_TLS.ecdhCurve}` } as const
