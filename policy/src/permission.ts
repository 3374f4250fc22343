/** A name in `special_permissions`. It travels as an RFC 8941 string in a header: visible ASCII without quotes. */
export const PERMISSION = /^[a-z][a-z0-9_.:-]{0,63}$/
