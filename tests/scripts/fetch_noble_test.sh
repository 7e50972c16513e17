#!/usr/bin/env bash
# scripts/fetch-noble with an npm that answers what the case says.
# shellcheck source-path=SCRIPTDIR source=support.sh disable=SC2016
# (the fakes are scripts: what they name expands when they run)
source "$(dirname "$0")/support.sh"
export sandbox LP_CACHE_DIR=$sandbox/cache

# Writes something else than a package where `npm pack` would write it.
fake npm <<'EOS'
echo "$*" >>"$sandbox/npm_calls"
while [ "$1" != --pack-destination ]; do shift; done
echo 'not the package' >"$2/noble-curves-1.9.7.tgz"
EOS

fetch() { PATH=$sandbox/bin:$PATH "$source_dir/scripts/fetch-noble" "$sandbox/out" 2>&1; }

other_bytes_than_recorded_are_refused_and_not_kept() {
  local said status=0
  said=$(fetch) || status=$?
  expect_equal 1 "$status"
  expect_contains 'SHA-512' "$said"
  [ ! -e "$LP_CACHE_DIR/noble-curves-1.9.7.tgz" ] || fail 'the wrong file was kept'
  [ ! -e "$sandbox/out" ] || fail 'the wrong file was unpacked'
}

damaged_cache_is_fetched_again() {
  mkdir "$LP_CACHE_DIR"
  echo damaged >"$LP_CACHE_DIR/noble-curves-1.9.7.tgz"
  fetch >/dev/null || true
  expect_equal 1 "$(wc -l <"$sandbox/npm_calls")"
}

incomplete_copy_does_not_count_as_one() {
  mkdir -p "$sandbox/out/node_modules/@noble/curves"
  local status=0
  fetch >/dev/null || status=$?
  expect_equal 1 "$status"
}

missing_npm_is_named() {
  rm "$sandbox/bin/npm"
  local command
  for command in bash cut dirname env mkdir mktemp rm sha512sum; do
    ln -s "$(command -v "$command")" "$sandbox/bin/$command"
  done
  local said status=0
  said=$(PATH=$sandbox/bin "$source_dir/scripts/fetch-noble" "$sandbox/out" 2>&1) || status=$?
  expect_equal 1 "$status"
  expect_contains 'npm is not installed' "$said"
}

"$1"
