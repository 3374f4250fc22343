import { STATE_FORMATS } from '@vcc/mesh'

/** Whether an agent that announces these formats can read the state that is written here. */
export function readsStateFormat(announced: readonly number[]): boolean {
  return STATE_FORMATS.some((format) => announced.includes(format))
}
