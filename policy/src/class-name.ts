import { PolicyError, quote } from './error.ts'

declare const role: unique symbol

/** Name of a certificate class, e.g. `mtls_certificate`. Which classes exist is the control plane's to say. */
export type ClassName = string & { readonly [role]: 'class' }

/** @throws {PolicyError} `class_name_invalid` unless `[a-z][a-z0-9_]{0,63}`. */
export function className(text: string): ClassName {
  if (!isClassName(text)) throw new PolicyError('class_name_invalid', `${quote(text)} is not a class name`)
  return text
}

export function isClassName(text: string): text is ClassName {
  return /^[a-z][a-z0-9_]{0,63}$/.test(text)
}
