#!/bin/bash
# Makes a checkout ready: system packages (Debian and Ubuntu, when root), npm packages, Node 26 among them, test runner.
# Safe to run again and at the same time as another one; does nothing when nothing is to do.
set -euo pipefail
cd "$(dirname "$0")/.."

main() {
  exec 9<tools/setup.sh
  flock -w 900 9 || fail 'another set-up has been running for 15 minutes'
  # Quick when the last run left nothing to do: a hash, no search of the disk.
  [ "$(cat node_modules/.setup 2>/dev/null)" != "$(fingerprint)" ] || return 0

  system_packages
  npm_packages
  native_packages
  # Node strips the types itself; tap's own plugin for it wants an older TypeScript. Rebuilt whenever packages change.
  say 'preparing the test runner'
  (cd e2e && PATH="$PWD/../node_modules/.bin:$PATH" quietly tap build)
  fingerprint > node_modules/.setup
  say "ready: Node $(node_modules/.bin/node --version)"
}

# What set-up depends on: the lockfile, the runner's configuration, the two files that say what to install.
fingerprint() {
  cat package-lock.json e2e/package.json tools/setup.sh tools/system-packages.txt <(uname -m) | sha256sum
}

system_packages() {
  local missing=() name evidence rest
  while read -r name evidence rest; do
    case $name in '' | '#'*) continue ;; esac
    present "$evidence" || missing+=("$name")
  done < tools/system-packages.txt
  [ ${#missing[@]} -gt 0 ] || return 0

  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    fail "these system packages are missing: ${missing[*]}" \
      'hint: on Debian or Ubuntu, install them and run the command again:' \
      "    sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}" \
      'what each is for: tools/system-packages.txt'
  fi
  say "installing system packages: ${missing[*]}"
  quietly apt_get update
  quietly apt_get install -y --no-install-recommends "${missing[@]}"
}

present() {
  case $1 in
    command:*) command -v "${1#command:}" >/dev/null ;;
    file:*) [ -e "${1#file:}" ] ;;
    library:*) PATH="$PATH:/usr/sbin:/sbin" ldconfig -p | grep -qF "${1#library:}" ;;
    *) fail "tools/system-packages.txt: unknown evidence \"$1\"" ;;
  esac
}

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq "$@"; }

npm_packages() {
  local node_version npm_version
  node_version=$(node --version) npm_version=$(npm --version)
  [[ ${node_version#v} =~ ^(1[89]|[2-9][0-9])\. && $npm_version =~ ^(9|[1-9][0-9])\. ]] ||
    fail "Node $node_version with npm $npm_version is too old" 'hint: Node 18 with npm 9, or newer, fetches the Node 26 that runs everything'

  # A tree that already is what the lockfile says stays: `npm ci` would delete it under a running process.
  if [ -x node_modules/.bin/node ] && node_modules/.bin/node tools/installed.ts; then return 0; fi

  say 'installing npm packages (once, about a minute; Node 26 is one of them)'
  # No install scripts: Node 26 is a plain package, and native modules come prebuilt, or are built by us below.
  NODE_OPTIONS='--require ./tools/npm-for-node-26.cjs' quietly npm ci --ignore-scripts --no-audit --no-fund
  link_node
  node_modules/.bin/node tools/installed.ts || fail 'npm did not install what the lockfile says'
}

# pkcs11js comes as source. Debian's Node headers are right for it, of whatever version: it uses Node-API only.
native_packages() {
  local built=node_modules/pkcs11js/build/Release/pkcs11.node
  [ -e "$built" ] || quietly npm rebuild $([ -d /usr/include/node ] && echo --nodedir=/usr) pkcs11js
  [ -e "$built" ] || fail "npm did not build $built"
}

# npm 9 drops the link to the binary when it drops the package for the other architecture, which has a bin of that name.
link_node() {
  local binary
  for binary in node_modules/node-linux-*/bin/node; do
    [ -x "$binary" ] || fail "there is no Node 26 for this machine ($(uname -sm))" 'hint: Linux on x86-64 or arm64 is needed'
    ln -sfn "../${binary#node_modules/}" node_modules/.bin/node
  done
  node_modules/.bin/node --version >/dev/null || fail 'Node 26 does not start'
}

# Shows a command's output only when it fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1 9<&-; then
    cat "$log" >&2
    rm -f "$log"
    fail "failed: $*"
  fi
  rm -f "$log"
}

say() { echo "set-up: $*" >&2; }

fail() {
  printf 'set-up: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit 1
}

main
