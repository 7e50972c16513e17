#!/usr/bin/env bash
# The systemd units, as far as they can be judged without a systemd that runs: units_test.sh BIN_DIR CASE
# shellcheck source-path=SCRIPTDIR source=../scripts/support.sh
source "$(dirname "$0")/../scripts/support.sh"
bin=$1
units=$source_dir/packaging/systemd
services=(lp-gateway lp-issuer lp-db-maint-cleanup lp-probe-textfile)

value() { sed -n "s/^$2=//p" "$units/$1"; }

exposure_at_most() { systemd-analyze security --offline=true --no-pager --threshold="$1" "$2" >"$sandbox/said" 2>&1; }

no_unit_has_a_line_that_systemd_does_not_know() {
  local said
  # With programs that are there; kill is in a package of its own.
  for unit in "$units"/*.service "$units"/*.timer; do
    sed "s|^ExecStart=/usr/s\?bin/lp|ExecStart=$bin/lp|; s|/bin/kill|/bin/true|" "$unit" >"$sandbox/${unit##*/}"
  done
  mkdir "$sandbox/lp-gateway.service.d"
  cp "$units/netlink.conf" "$sandbox/lp-gateway.service.d/"
  cd "$sandbox"
  said=$(systemd-analyze verify --man=no ./*.service ./*.timer 2>&1 | grep -E 'lp-|netlink' || true)
  expect_equal '' "$said"
  # What verifies anything verifies nothing.
  sed -i 's/^NoNewPrivileges=/NoNewPrivilege=/' "$sandbox/lp-gateway.service"
  said=$(systemd-analyze verify --man=no ./lp-gateway.service 2>&1 || true)
  expect_contains 'NoNewPrivilege' "$said"
}

no_service_is_exposed_more_than_1_5() {
  local service
  for service in "${services[@]}"; do
    exposure_at_most 15 "$units/$service.service" || fail "$service: $(tail -n 1 "$sandbox/said")"
  done
  expect_equal "$(find "$units" -name '*.service' | wc -l)" "${#services[@]}"
}

gateway_with_the_kernels_wireguard_is_not_exposed_more_than_1_5() {
  mkdir "$sandbox/lp-gateway.service.d"
  cp "$units/lp-gateway.service" "$sandbox/"
  cp "$units/netlink.conf" "$sandbox/lp-gateway.service.d/"
  exposure_at_most 15 "$sandbox/lp-gateway.service" || fail "$(tail -n 1 "$sandbox/said")"
  # That the drop-in was read, and is all that gives the capability.
  expect_contains 'CAP_NET_ADMIN' "$(grep '✗.*CapabilityBoundingSet' "$sandbox/said")"
  exposure_at_most 15 "$units/lp-gateway.service"
  expect_equal '' "$(grep '✗.*\(CapabilityBoundingSet\|AmbientCapabilities\)' "$sandbox/said" || true)"
}

what_a_unit_names_is_packaged() {
  local service user file
  for service in "${services[@]}"; do
    user=$(value "$service.service" User)
    grep -q "^u $user - .* /var/lib/$user\$" "$source_dir"/packaging/sysusers/*.conf || fail "$service: no user $user in sysusers"
    for file in $(value "$service.service" EnvironmentFile); do
      [ -f "$source_dir/packaging/${file#-/etc/}" ] || fail "$service: $file is in no package"
    done
    for file in $(value "$service.service" ReadWritePaths); do
      grep -q "^d $file 0755 $user $user\$" "$source_dir"/packaging/tmpfiles/*.conf || fail "$service: nobody makes $file for $user"
    done
    for file in $(value "$service.service" StateDirectory); do
      grep -q "^d /var/lib/$file 0700 $user $user\$" "$source_dir"/packaging/tmpfiles/*.conf || fail "$service: nobody makes /var/lib/$file for $user"
    done
    file=$(value "$service.service" ExecStart)
    file=${file%% *}
    grep -q " \.$file\$" "$(dirname "$0")"/*.contents || fail "$service: $file is in no package"
  done
}

# Where --textfile leads and the link for the node exporter must be the same file.
textfiles_are_where_the_packages_link_to() {
  local file
  for file in lp-gateway:lp-db-maint-cleanup lp-tools:lp-probe-textfile; do
    local textfile
    textfile=$(value "${file#*:}.service" ExecStart | sed 's/.*--textfile \([^ ]*\).*/\1/')
    expect_contains "ln -sf $textfile " "$(cat "$source_dir/packaging/debian/${file%:*}/postinst")"
    expect_contains "f $textfile 0644" "$(cat "$source_dir/packaging/tmpfiles/${file%:*}.conf")"
  done
}

"$2"
