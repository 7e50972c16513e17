#!/usr/bin/env bash
# The .deb files: packages_test.sh BUILD_DIR VERSION CASE. The case `build` makes them, for the others.
# shellcheck source-path=SCRIPTDIR source=../scripts/support.sh disable=SC2016
# (dpkg-deb expands what it is given)
source "$(dirname "$0")/../scripts/support.sh"
here=$(cd "$(dirname "$0")" && pwd)
build_dir=$1 version=$2
folder=$build_dir/tests/packaging/packages
packages=(lp-gateway lp-issuer lp-tools)

deb() { printf '%s\n' "$folder/$1_$version"-1_*.deb; }
# To be read to its end: a dpkg-deb whose reader is gone leaves its temporary directory.
field() { dpkg-deb -f "$(deb "$1")" "$2"; }

# pack FOLDER [CPACK OPTION…]. gzip, for it is the fastest and nobody loads them.
pack() {
  local log=$sandbox/log
  SOURCE_DATE_EPOCH=1700000000 cpack --config "$build_dir/CPackConfig.cmake" -B "$@" \
    -D CPACK_DEBIAN_COMPRESSION_TYPE=gzip >"$log" 2>&1 || fail "$(cat "$log")"
  rm -rf "$1/_CPack_Packages"
}

build() {
  rm -rf "$folder"
  pack "$folder"
  expect_equal "${#packages[@]}" "$(find "$folder" -name '*.deb' | wc -l)"
}

# PACKAGE.contents has mode, owners and path of each file; directories that are not as usual stand out.
files_modes_and_owners_are_as_listed() {
  local package
  for package in "${packages[@]}"; do
    dpkg-deb -c "$(deb "$package")" | awk '!/^drwxr-xr-x root\/root / { print $1, $2, $6 }' | LC_ALL=C sort -k 3 >"$sandbox/contents"
    diff "$here/$package.contents" "$sandbox/contents" || fail "$package has other files than its list"
  done
}

every_file_in_etc_is_kept_at_an_upgrade() {
  local package
  for package in "${packages[@]}"; do
    expect_equal "$(dpkg-deb -c "$(deb "$package")" | sed -n '/^-/s|.* \./etc/|/etc/|p' | sort)" \
      "$(dpkg-deb -I "$(deb "$package")" conffiles | sort)"
  done
}

version_is_that_of_the_programs() {
  local program
  for program in lp-probe lp-replay-bench lp-db-maint lp-gateway lp-issuer; do
    expect_contains " $version" " $("$build_dir/bin/$program" --version | head -n 1 | tr '\n' ' ')"
  done
  for package in "${packages[@]}"; do expect_equal "$version-1" "$(field "$package" Version)"; done
  expect_contains "lp-tools (= $version-1)" "$(field lp-gateway Depends)"
  expect_equal lp-tools "$(field lp-issuer Suggests)"
}

# By the libraries that each cannot do without.
libraries_are_depended_upon() {
  local wanted
  for wanted in lp-gateway:libc6 lp-gateway:libsqlite3-0 lp-gateway:libsodium23 lp-gateway:libmnl0 \
    lp-gateway:libpqxx lp-gateway:libssl3 lp-gateway:procps lp-issuer:libsqlite3-0 lp-issuer:libssl3 lp-tools:libsqlite3-0 \
    lp-tools:libbenchmark1; do
    expect_contains " ${wanted#*:}" " $(field "${wanted%:*}" Depends)"
  done
}

synopsis_is_each_packages_own() {
  expect_equal 'gateway for LP registration' "$(field lp-gateway Description | sed -n 1p)"
  expect_equal 'issuer of e-cash tickets for LP test networks' "$(field lp-issuer Description | sed -n 1p)"
  expect_equal 'probe and diagnostics for LP registration' "$(field lp-tools Description | sed -n 1p)"
}

manual_pages_and_changelogs_can_be_read() {
  local package page
  for package in "${packages[@]}"; do
    mkdir "$sandbox/$package"
    dpkg-deb -x "$(deb "$package")" "$sandbox/$package"
    zcat "$sandbox/$package/usr/share/doc/$package/changelog.Debian.gz" >"$sandbox/changelog"
    expect_equal "$version-1" "$(dpkg-parsechangelog -l "$sandbox/changelog" -S Version)"
    for page in "$sandbox/$package"/usr/share/man/man*/*.gz; do
      expect_contains '.Sh NAME' "$(zcat "$page")"
    done
  done
  # What init writes is what is packaged.
  expect_contains '#max_connections = ' "$(cat "$sandbox/lp-gateway/etc/lp-gateway/lp-gateway.toml")"
}

# Beside the others: newer CPacks count in Installed-Size what the file system says of directories.
same_sources_give_the_same_bytes() {
  rm -rf "$folder-again"
  pack "$folder-again" -D CPACK_COMPONENTS_ALL=lp-issuer
  cmp "$(deb lp-issuer)" "$folder-again"/*.deb || fail 'lp-issuer differs from one build to the next'
  rm -rf "$folder-again"
}

"$3"
