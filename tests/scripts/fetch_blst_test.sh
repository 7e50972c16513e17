#!/usr/bin/env bash
# scripts/fetch-blst with an npm that answers what the case says.
# shellcheck source-path=SCRIPTDIR source=support.sh disable=SC2016
# (the fakes are scripts: what they name expands when they run)
source "$(dirname "$0")/support.sh"
export sandbox LP_CACHE_DIR=$sandbox/cache
package=$LP_CACHE_DIR/chainsafe-blst-0.2.11.tgz

# Writes something else than the package where `npm pack` would write it.
fake npm <<'EOS'
echo "$*" >>"$sandbox/npm_calls"
while [ "$1" != --pack-destination ]; do shift; done
echo 'not the package' >"$2/chainsafe-blst-0.2.11.tgz"
EOS

fetch() { PATH=$sandbox/bin:$PATH "$source_dir/scripts/fetch-blst" "$sandbox/out" 2>&1; }

other_bytes_than_recorded_are_refused_and_not_kept() {
  local said status=0
  said=$(fetch) || status=$?
  expect_equal 1 "$status"
  expect_contains 'SHA-512' "$said"
  [ ! -e "$package" ] || fail 'the wrong file was kept'
  [ ! -e "$sandbox/out/src/server.c" ] || fail 'the wrong file was unpacked'
}

damaged_cache_is_fetched_again() {
  mkdir "$LP_CACHE_DIR"
  echo damaged >"$package"
  fetch >/dev/null || true
  expect_equal 1 "$(wc -l <"$sandbox/npm_calls")"
}

missing_npm_is_named() {
  rm "$sandbox/bin/npm"
  local command
  for command in bash env mkdir mktemp rm sha512sum; do ln -s "$(command -v "$command")" "$sandbox/bin/$command"; done
  local said status=0
  said=$(PATH=$sandbox/bin "$source_dir/scripts/fetch-blst" "$sandbox/out" 2>&1) || status=$?
  expect_equal 1 "$status"
  expect_contains 'npm is not installed' "$said"
}

"$1"
