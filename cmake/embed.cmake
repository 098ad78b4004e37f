# embed_files(OUT SYMBOL FILE...): writes OUT, a C file that defines
#   const struct wp_embedded SYMBOL[] = {{"name.ext", text, size}, ..., {NULL, NULL, 0}};
# (worker/core/embedded.h). Runs at build time, again whenever a file changes.
function(embed_files out symbol)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} "-DOUT=${out}" "-DSYMBOL=${symbol}" "-DFILES=${ARGN}"
            -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed_run.cmake
    DEPENDS ${ARGN} ${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed_run.cmake VERBATIM)
endfunction()
