import { isTerminal, writeErr } from '../host.ts'
import { printable } from './text.ts'

/**
 * One line on standard error that says what is being waited for: only on a terminal, only after a second.
 * Disposal removes it.
 */
export function showProgress(
  text: string,
  options: { terminal?: boolean; write?: (text: string) => void; afterMs?: number } = {},
): Disposable & { update(next: string): void } {
  const write = options.write ?? writeErr
  let current = text
  let shown = false
  const draw = () => {
    shown = true
    write(`\r\x1b[2K${printable(current)} …`)
  }
  const timer =
    (options.terminal ?? isTerminal('stderr')) ? setTimeout(draw, options.afterMs ?? 1000).unref() : undefined
  return {
    update(next) {
      current = next
      if (shown) draw()
    },
    [Symbol.dispose]() {
      clearTimeout(timer)
      if (shown) write('\r\x1b[2K')
      shown = false
    },
  }
}
