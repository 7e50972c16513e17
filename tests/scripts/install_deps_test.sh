#!/usr/bin/env bash
# scripts/install-deps against a machine made of fakes: $sandbox/installed and $sandbox/archive have a package
# and its version a line, $sandbox/calls takes what apt-get was called with.
# shellcheck source-path=SCRIPTDIR source=support.sh disable=SC2016
# (the fakes are scripts: what they name expands when they run)
source "$(dirname "$0")/support.sh"
export sandbox

fake dpkg-query <<<'sed "s/^/ii  /" "$sandbox/installed"'
fake apt-cache <<<'printf "%s:\n  Candidate: %s\n" "$2" "$(sed -n "s/^$2 //p" "$sandbox/archive")"'
fake id <<<'cat "$sandbox/uid"'
fake npm <<<'exit 0'
fake apt-get <<'EOS'
printf '%s\n' "$*" >>"$sandbox/calls"
case $* in
  *update*) [ ! -e "$sandbox/archive.new" ] || mv "$sandbox/archive.new" "$sandbox/archive" ;;
  *) if [ -e "$sandbox/install_fails_once" ]; then rm "$sandbox/install_fails_once"; exit 100; fi ;;
esac
EOS

touch "$sandbox/calls"
echo 0 >"$sandbox/uid"
cat >"$sandbox/installed" <<'EOS'
g++ 4:12.2.0-3
cmake 3.25.1-1
ninja-build 1.11.1-2
ccache 4.7.5-1
mold 1.10.1-1
pkg-config 1.8.1-1
libboost1.81-dev 1.81.0-5
libboost-json1.81-dev 1.81.0-5
libsodium-dev 1.0.18-1
libsqlite3-dev 3.40.1-2
libpqxx-dev 6.4.5-2
prometheus-cpp-dev 1.0.1-1
libspdlog-dev 1:1.10.0-1
libssl-dev 3.0.15-1
libmnl-dev 1.0.4-3
libcli11-dev 2.1.2-1
librust-blake3-dev 1.3.1-1
EOS
cp "$sandbox/installed" "$sandbox/archive"

install_deps() {
  PATH=$sandbox/bin:$PATH setsid --wait "$source_dir/scripts/install-deps" "$@" 2>&1 </dev/null
}
installed_by_apt() { sed -n 's/.*--no-remove //p' "$sandbox/calls"; }
remove() { sed -i "/^$1 /d" "$sandbox/installed"; }

nothing_missing_is_silent_and_asks_apt_nothing() {
  expect_equal '' "$(install_deps build)"
  expect_equal '' "$(cat "$sandbox/calls")"
}

missing_package_is_the_only_one_installed() {
  remove libmnl-dev
  expect_equal 'Installing libmnl-dev' "$(install_deps build)"
  expect_equal 'libmnl-dev' "$(installed_by_apt)"
}

old_boost_does_not_satisfy() {
  remove libboost1.81-dev
  echo 'libboost-dev 1.74.0.3' | tee -a "$sandbox/archive" >>"$sandbox/installed"
  install_deps build >/dev/null
  expect_equal 'libboost1.81-dev' "$(installed_by_apt)"
  # An archive without 1.81 that has a later default.
  sed -i '/^libboost1.81-dev /d; s/^libboost-dev .*/libboost-dev 1.83.0.2/' "$sandbox/archive"
  install_deps build >/dev/null
  expect_equal 'libboost-dev' "$(installed_by_apt | tail -n 1)"
  echo 'libboost-dev 1.83.0.2' >>"$sandbox/installed"
  expect_equal '' "$(install_deps build)"
}

command_from_elsewhere_satisfies() {
  # npm is a command here and no package of the machine's.
  expect_equal '' "$(grep npm "$sandbox/installed" || true)"
  expect_equal '' "$(install_deps build)"
}

lists_are_updated_only_when_a_package_is_unknown() {
  remove libmnl-dev
  install_deps build >/dev/null
  expect_equal 0 "$(grep -c update "$sandbox/calls" || true)"
  cp "$sandbox/archive" "$sandbox/archive.new"
  sed -i '/^libmnl-dev /d' "$sandbox/archive"
  install_deps build >/dev/null
  expect_equal 1 "$(grep -c update "$sandbox/calls")"
}

old_lists_are_updated_and_the_install_repeated() {
  remove libmnl-dev
  touch "$sandbox/install_fails_once"
  install_deps build >/dev/null
  expect_equal '-qq install / -qq update / -qq install' \
    "$(sed 's/ -y.*//' "$sandbox/calls" | paste -sd/ | sed 's|/| / |g')"
}

plain_user_without_a_terminal_is_refused_by_name() {
  echo 1000 >"$sandbox/uid"
  fake sudo <<<'exec "$@"'
  remove libmnl-dev
  local said status=0
  said=$(install_deps build) || status=$?
  expect_equal 1 "$status"
  expect_contains 'libmnl-dev' "$said"
  expect_contains 'no terminal' "$said"
  expect_equal '' "$(cat "$sandbox/calls")"
}

postgresql_is_installed_without_a_server_that_runs() {
  fake mkdir <<<'case $* in -p\ /etc/*) echo "$*" >>"$sandbox/calls" ;; *) exec /bin/mkdir "$@" ;; esac'
  fake tee <<<'echo "tee $* $(cat)" >>"$sandbox/calls"'
  fake rm <<<'case $* in *" /etc/"*) echo "rm $*" >>"$sandbox/calls" ;; *) exec /bin/rm "$@" ;; esac'
  # Everything of the group but PostgreSQL.
  sed -n "/^requirements_of\[test\]='/,/^'/p" "$source_dir/scripts/install-deps" |
    sed '1d; $d; /^postgresql/d; s/[|@>].*/ 1/; s/$/ 1/' >>"$sandbox/installed"
  echo 'postgresql-17 17.5-1' >>"$sandbox/archive"
  install_deps test >/dev/null
  local directory=/etc/postgresql-common/createcluster.d
  expect_equal "-p $directory / tee $directory/lp-install-deps.conf create_main_cluster = false / \
-qq install -y --no-install-recommends --no-remove postgresql-17 / rm -f $directory/lp-install-deps.conf" \
    "$(paste -sd/ "$sandbox/calls" | sed -E 's#/(tee|-qq|rm) # / \1 #g')"
}

unknown_group_is_refused() {
  local said status=0
  said=$(install_deps everything) || status=$?
  expect_equal 1 "$status"
  expect_contains "unknown group 'everything'" "$said"
}

"$1"
