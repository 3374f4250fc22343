import { fileURLToPath } from 'node:url'

const fromRoot = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

export const ROOT_FOLDER: string = fromRoot('.')
export const NODE: string = process.execPath
export const VCC_CONTROL: string = fromRoot('control-plane/src/main.ts')
export const VCC_PKI: string = fromRoot('control-plane/cli/main.ts')
export const VCC_AGENT: string = fromRoot('agent/src/main.ts')
export const SERVICE_PY: string = fromRoot('e2e/harness/service.py')
export const MATRIX_FILE: string = fromRoot('e2e/harness/vcc_service_auth_matrix.yml')
/** Where Node keeps compiled sources between the processes of a test run. */
export const COMPILE_CACHE: string = fromRoot('node_modules/.cache/vcc-e2e')
