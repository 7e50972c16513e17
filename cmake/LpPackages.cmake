# The Debian packages lp-tools, lp-gateway and lp-issuer, with CPack: `scripts/package` builds them.

set(LP_PACKAGE_RELEASE 1 CACHE STRING "The packages' Debian revision")
set(LP_PACKAGE_MAINTAINER "lp-tools authors <lp-tools@lp-tools.invalid>" CACHE STRING
    "Who answers for the packages: Name <address>")
set(LP_PACKAGE_HOMEPAGE "" CACHE STRING "The packages' Homepage; none by default")
set(LP_PACKAGE_VERSION ${PROJECT_VERSION}-${LP_PACKAGE_RELEASE})

# The time of the last commit stands for that of the build, so that the same sources give the same bytes.
set(LP_PACKAGE_TIME $ENV{SOURCE_DATE_EPOCH})
if(NOT LP_PACKAGE_TIME)
  execute_process(COMMAND git log -1 --format=%ct WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
                  OUTPUT_VARIABLE LP_PACKAGE_TIME OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT LP_PACKAGE_TIME)
  string(TIMESTAMP LP_PACKAGE_TIME %s UTC)
endif()
execute_process(COMMAND date -u -R -d @${LP_PACKAGE_TIME} OUTPUT_VARIABLE LP_PACKAGE_DATE
                OUTPUT_STRIP_TRAILING_WHITESPACE)
configure_file(${LP_PACKAGING}/debian/changelog.in ${LP_STAGING}/changelog.Debian @ONLY)
foreach(component lp-tools lp-gateway lp-issuer)
  lp_install_compressed(${component} ${CMAKE_INSTALL_DATADIR}/doc/${component}
    ${LP_STAGING}/changelog.Debian changelog.Debian)
endforeach()

add_custom_target(lp-installed-files ALL DEPENDS ${lp_installed_files})  # all of them by now

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lp-tools)
set(CPACK_PACKAGE_VENDOR "")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # it would go in front of each package's own
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_DEBIAN_PACKAGE_RELEASE ${LP_PACKAGE_RELEASE})
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL lp-tools lp-gateway lp-issuer)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${LP_PACKAGE_MAINTAINER})
set(CPACK_DEBIAN_PACKAGE_HOMEPAGE ${LP_PACKAGE_HOMEPAGE})
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# lp_debian_package(NAME DEPENDS DESCRIPTION): of the last, the first line is the synopsis.
function(lp_debian_package name depends description)
  string(TOUPPER ${name} key)
  file(GLOB control ${LP_PACKAGING}/debian/${name}/*)
  foreach(pair
      "CPACK_DEBIAN_${key}_PACKAGE_NAME=${name}"
      "CPACK_DEBIAN_${key}_PACKAGE_SECTION=net"
      "CPACK_DEBIAN_${key}_PACKAGE_DEPENDS=${depends}"
      "CPACK_COMPONENT_${key}_DESCRIPTION=${description}")
    string(REGEX MATCH "^([^=]*)=(.*)$" pair "${pair}")
    set(${CMAKE_MATCH_1} "${CMAKE_MATCH_2}" PARENT_SCOPE)
  endforeach()
  set(CPACK_DEBIAN_${key}_PACKAGE_CONTROL_EXTRA ${control} PARENT_SCOPE)
endfunction()

# What commands of theirs need that not everybody has: pg_dump, wg.
set(CPACK_DEBIAN_LP-TOOLS_PACKAGE_SUGGESTS postgresql-client)
set(CPACK_DEBIAN_LP-GATEWAY_PACKAGE_SUGGESTS "prometheus-node-exporter, wireguard-tools")
# What the scripts call: users and directories are declared, not made by hand.
set(declared "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
lp_debian_package(lp-tools "${declared}"
"probe and diagnostics for LP registration
lp-probe registers at LP gateways and says which stage failed, with a
stable code and a hint. It also puts load on a gateway, and writes metrics
for Prometheus. lp-db-maint looks after the databases of lp-gateway and
lp-issuer while they run. lp-replay-bench measures the replay window.")
# procps has the kill of ExecReload.
lp_debian_package(lp-gateway "lp-tools (= ${LP_PACKAGE_VERSION}), procps, ${declared}"
"gateway for LP registration
Accepts registrations over LP: takes a client's ticket once, gives its
WireGuard key tunnel addresses and bandwidth, carries the peer into
WireGuard, and answers with what the client needs for the tunnel. Comes
with a systemd service and a timer that cleans up its database.")
# For backups and checks; nothing of it runs by itself.
set(CPACK_DEBIAN_LP-ISSUER_PACKAGE_SUGGESTS lp-tools)
lp_debian_package(lp-issuer "${declared}"
"issuer of e-cash tickets for LP test networks
Signs tickets blindly for those who bear a token, and answers the chain's
query for verification keys. For test networks and continuous integration,
not for a network whose tickets are worth money.")

include(CPack)

# The .deb files, made again where anything that goes into them has changed.
set(stamp ${CMAKE_BINARY_DIR}/packages.stamp)
file(GLOB control ${LP_PACKAGING}/debian/*/*)
add_custom_command(OUTPUT ${stamp}
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${CPACK_PACKAGE_DIRECTORY}
  COMMAND ${CMAKE_COMMAND} -E env SOURCE_DATE_EPOCH=${LP_PACKAGE_TIME}
    ${CMAKE_CPACK_COMMAND} --config ${CMAKE_BINARY_DIR}/CPackConfig.cmake > ${CMAKE_BINARY_DIR}/packages.log
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${CPACK_PACKAGE_DIRECTORY}/_CPack_Packages
  COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
  DEPENDS lp-probe lp-replay-bench lp-db-maint lp-gateway lp-issuer ${lp_installed_files} ${control}
  COMMENT "Packaging into packages/" VERBATIM)
add_custom_target(packages DEPENDS ${stamp})
