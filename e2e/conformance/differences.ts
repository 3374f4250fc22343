/**
 * Cases whose result we do not share, each with its reason: rows of docs/divergences.md, "Other people's tests". A case that
 * differs and is not listed here is a failure, a false accept among them one that ends `make conformance` with an error.
 */
export const DIFFERENCES: Readonly<Record<string, string>> = {}
