# What `cmake --install` puts where. The program itself prints its man pages and the completion of shells.
include(GNUInstallDirs)
set(MANUAL ${CMAKE_BINARY_DIR}/manual)

if(NOT WARMPOOL_ASAN AND NOT WARMPOOL_COVERAGE AND NOT WARMPOOL_FUZZ)
  add_custom_command(OUTPUT ${MANUAL}/made
    COMMAND ${CMAKE_COMMAND} "-DWARMPOOL=$<TARGET_FILE:warmpool>" "-DOUT=${MANUAL}" -P ${CMAKE_SOURCE_DIR}/cmake/manual.cmake
    DEPENDS warmpool ${CMAKE_SOURCE_DIR}/cmake/manual.cmake VERBATIM)
  add_custom_target(manual ALL DEPENDS ${MANUAL}/made)
endif()

install(TARGETS warmpool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
foreach(section 1 5)
  install(DIRECTORY ${MANUAL}/man${section} DESTINATION ${CMAKE_INSTALL_MANDIR} OPTIONAL)
endforeach()
install(FILES ${MANUAL}/warmpool.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME warmpool OPTIONAL)
install(FILES ${MANUAL}/warmpool.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _warmpool OPTIONAL)
install(FILES ${MANUAL}/warmpool.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d OPTIONAL)
install(FILES packaging/warmpool.ini DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/warmpool)
install(DIRECTORY DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/warmpool/conf.d)
