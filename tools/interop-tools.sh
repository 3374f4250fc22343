#!/bin/bash
# Fetches the programs of `make interop` that Debian does not have into .interop/, which git ignores. Safe to run again.
# What cannot come says why, and `make interop` then skips its checks by name.
set -euo pipefail
cd "$(dirname "$0")/.."

PKILINT=0.13.0
ZLINT=v3.6.8 # newer ones do not resolve

main() {
  mkdir -p .interop/bin
  if [ "$(cat .interop/pkilint 2>/dev/null)" = "$PKILINT" ]; then
    say "pkilint $PKILINT is there"
  elif ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    say 'pkilint: skipped, Python has no venv (on Debian: python3-venv)'
  else
    say "installing pkilint $PKILINT"
    python3 -m venv .interop/python
    .interop/python/bin/pip install --quiet --disable-pip-version-check "pkilint==$PKILINT"
    echo "$PKILINT" > .interop/pkilint
  fi
  if [ "$(cat .interop/zlint 2>/dev/null)" = "$ZLINT" ]; then
    say "zlint $ZLINT is there"
  elif ! command -v go >/dev/null; then
    say 'zlint: skipped, Go is not here'
  else
    say "installing zlint $ZLINT"
    GOBIN="$PWD/.interop/bin" go install "github.com/zmap/zlint/v3/cmd/zlint@$ZLINT"
    echo "$ZLINT" > .interop/zlint
  fi
  command -v java >/dev/null || say "Java: its check needs a JDK, which is not installed from here"
}

say() { echo "interop-tools: $*" >&2; }

main
