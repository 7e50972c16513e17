# What is installed where, in three components that are also the Debian packages: lp-tools, lp-gateway,
# lp-issuer. Included after the targets.
#
#   cmake --install BUILD --component lp-gateway --prefix /usr     DESTDIR is heard
#
# What has to be made for it (compressed manual pages, completions, the commented settings) is target
# lp-installed-files, made by the programs that are installed.

include(GNUInstallDirs)
set(LP_UNIT_DIR lib/systemd/system)

set(lp_installed_files)
set(LP_STAGING ${CMAKE_BINARY_DIR}/installed)
file(MAKE_DIRECTORY ${LP_STAGING})

# lp_install_made(COMPONENT FOLDER FILE DEPENDS COMMAND…): the command's output as a file.
function(lp_install_made component folder file depends)
  set(output ${LP_STAGING}/${component}/${file})
  add_custom_command(OUTPUT ${output} COMMAND ${ARGN} > ${output} DEPENDS ${depends} VERBATIM)
  file(MAKE_DIRECTORY ${LP_STAGING}/${component})
  set(lp_installed_files ${lp_installed_files} ${output} PARENT_SCOPE)
  install(FILES ${output} DESTINATION ${folder} COMPONENT ${component})
endfunction()

macro(lp_install_compressed component folder source name)
  lp_install_made(${component} ${folder} ${name}.gz ${source} gzip -9nc ${source})
endmacro()

macro(lp_install_manual component)
  foreach(page ${ARGN})
    string(REGEX MATCH "[1-8]$" section ${page})
    lp_install_compressed(${component} ${CMAKE_INSTALL_MANDIR}/man${section}
      ${CMAKE_SOURCE_DIR}/man/${page} ${page})
  endforeach()
endmacro()

# lp_install_programs(COMPONENT FOLDER TARGET…): the programs, with their completions.
macro(lp_install_programs component folder)
  foreach(program ${ARGN})
    install(TARGETS ${program} RUNTIME DESTINATION ${folder} COMPONENT ${component})
    foreach(shell_file
        "bash:${CMAKE_INSTALL_DATADIR}/bash-completion/completions:${program}"
        "zsh:${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions:_${program}"
        "fish:${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d:${program}.fish")
      string(REPLACE ":" ";" shell_file ${shell_file})
      list(POP_FRONT shell_file shell completions file)
      lp_install_made(${component} ${completions} ${file} ${program}
        $<TARGET_FILE:${program}> completion ${shell})
    endforeach()
  endforeach()
endmacro()

macro(lp_install_files component folder)
  list(APPEND lp_installed_files ${ARGN})
  install(FILES ${ARGN} DESTINATION ${folder} COMPONENT ${component})
endmacro()

set(LP_PACKAGING ${CMAKE_SOURCE_DIR}/packaging)

# lp-tools
lp_install_programs(lp-tools ${CMAKE_INSTALL_BINDIR} lp-probe lp-replay-bench)
lp_install_programs(lp-tools ${CMAKE_INSTALL_SBINDIR} lp-db-maint)
lp_install_manual(lp-tools lp-probe.1 lp-replay-bench.1 lp-protocol.7 lp-db-maint.8)
lp_install_files(lp-tools ${LP_UNIT_DIR}
  ${LP_PACKAGING}/systemd/lp-probe-textfile.service ${LP_PACKAGING}/systemd/lp-probe-textfile.timer)
lp_install_files(lp-tools lib/sysusers.d ${LP_PACKAGING}/sysusers/lp-tools.conf)
lp_install_files(lp-tools lib/tmpfiles.d ${LP_PACKAGING}/tmpfiles/lp-tools.conf)
lp_install_files(lp-tools /etc/default ${LP_PACKAGING}/default/lp-probe)

# lp-gateway
lp_install_programs(lp-gateway ${CMAKE_INSTALL_SBINDIR} lp-gateway)
lp_install_manual(lp-gateway lp-gateway.8 lp-gateway.toml.5)
lp_install_files(lp-gateway ${LP_UNIT_DIR}
  ${LP_PACKAGING}/systemd/lp-gateway.service ${LP_PACKAGING}/systemd/lp-db-maint-cleanup.service
  ${LP_PACKAGING}/systemd/lp-db-maint-cleanup.timer)
lp_install_files(lp-gateway lib/sysusers.d ${LP_PACKAGING}/sysusers/lp-gateway.conf)
lp_install_files(lp-gateway lib/tmpfiles.d ${LP_PACKAGING}/tmpfiles/lp-gateway.conf)
lp_install_files(lp-gateway /etc/default ${LP_PACKAGING}/default/lp-db-maint)
foreach(page ecash gateway operations storage wireguard)
  lp_install_files(lp-gateway ${CMAKE_INSTALL_DATADIR}/doc/lp-gateway ${CMAKE_SOURCE_DIR}/docs/${page}.md)
endforeach()
lp_install_files(lp-gateway ${CMAKE_INSTALL_DATADIR}/doc/lp-gateway/examples
  ${LP_PACKAGING}/systemd/netlink.conf ${LP_PACKAGING}/prometheus/lp-gateway.rules.yml
  ${LP_PACKAGING}/prometheus/lp-gateway.rules_test.yml ${LP_PACKAGING}/prometheus/prometheus.yml
  ${LP_PACKAGING}/grafana/lp-gateway.json)
# The settings as `lp-gateway init` explains them. They may come to hold passwords.
set(init_dir ${LP_STAGING}/lp-gateway/init)
add_custom_command(OUTPUT ${LP_STAGING}/lp-gateway/lp-gateway.toml
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${init_dir}
  COMMAND lp-gateway init --data-dir ${init_dir} > ${init_dir}.log 2>&1
  COMMAND ${CMAKE_COMMAND} -E copy ${init_dir}/lp-gateway.toml ${LP_STAGING}/lp-gateway/lp-gateway.toml
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${init_dir} ${init_dir}.log
  DEPENDS lp-gateway VERBATIM)
list(APPEND lp_installed_files ${LP_STAGING}/lp-gateway/lp-gateway.toml)
install(FILES ${LP_STAGING}/lp-gateway/lp-gateway.toml DESTINATION /etc/lp-gateway
  PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ COMPONENT lp-gateway)

# lp-issuer
lp_install_programs(lp-issuer ${CMAKE_INSTALL_SBINDIR} lp-issuer)
lp_install_manual(lp-issuer lp-issuer.8)
lp_install_files(lp-issuer ${LP_UNIT_DIR} ${LP_PACKAGING}/systemd/lp-issuer.service)
lp_install_files(lp-issuer lib/sysusers.d ${LP_PACKAGING}/sysusers/lp-issuer.conf)
lp_install_files(lp-issuer lib/tmpfiles.d ${LP_PACKAGING}/tmpfiles/lp-issuer.conf)
lp_install_files(lp-issuer /etc/default ${LP_PACKAGING}/default/lp-issuer)

foreach(component lp-tools lp-gateway lp-issuer)
  set(doc ${CMAKE_INSTALL_DATADIR}/doc/${component})
  lp_install_compressed(${component} ${doc} ${CMAKE_SOURCE_DIR}/CHANGELOG.md changelog)
  lp_install_compressed(${component} ${doc} ${CMAKE_SOURCE_DIR}/NOTICE NOTICE)
  lp_install_files(${component} ${doc} ${LP_PACKAGING}/debian/copyright)
  install(FILES ${LP_PACKAGING}/lintian/${component} COMPONENT ${component}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides)
endforeach()
