# shellcheck shell=bash disable=SC2034
# Sourced by the tests here: a case is a function, the argument names it.
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
sandbox=$(mktemp -d)
trap 'rm -rf "$sandbox"' EXIT
mkdir "$sandbox/bin"

fail() {
  printf 'FAILED: %s\n' "$1" >&2
  exit 1
}

# fake NAME: a command made from the script on stdin, found before the real one.
fake() {
  { printf '#!/usr/bin/env bash\n'; cat; } >"$sandbox/bin/$1"
  chmod +x "$sandbox/bin/$1"
}

expect_equal() { [ "$1" = "$2" ] || fail "expected '$1', got '$2'"; }
expect_contains() { [[ $2 == *"$1"* ]] || fail "expected '$1' in: $2"; }
