# What is installed: libraries, headers, the program, what pkg-config and CMake need to find them, and the documents.
# CMakeLists.txt includes it if KEYFLIGHT_INSTALL is on. An installation can be moved as a whole, for no file names the
# prefix; one in /usr or /usr/local is not moved (see below).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(keyflight_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/keyflight)

# ---- Libraries, headers, the program, and the CMake package ----

# keyflight_install_library(TARGET NAME): installs it, and describes it in keyflight-NAME.cmake. Each library has a file
# of its own, so that nobody needs what only another one stands on. The same file in the build folder is for projects
# that set keyflight_DIR to build/cmake.
function(keyflight_install_library target name)
    if(TARGET ${target})
        install(TARGETS ${target} EXPORT keyflight-${name} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
        install(EXPORT keyflight-${name} NAMESPACE keyflight:: DESTINATION ${keyflight_cmake_dir})
        export(EXPORT keyflight-${name} NAMESPACE keyflight:: FILE ${PROJECT_BINARY_DIR}/cmake/keyflight-${name}.cmake)
    endif()
endfunction()
keyflight_install_library(keyflight shared)
keyflight_install_library(keyflight_static static)
keyflight_install_library(keyflight_aws aws-shared)
keyflight_install_library(keyflight_aws_static aws-static)

configure_file(cmake/keyflight-config.cmake.in cmake/keyflight-config.cmake @ONLY)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/keyflight-config-version.cmake
                                 COMPATIBILITY SameMinorVersion) # until 1.0, as with the SONAME
if(KEYFLIGHT_SHARED OR KEYFLIGHT_STATIC)
    install(FILES ${PROJECT_BINARY_DIR}/cmake/keyflight-config.cmake
                  ${PROJECT_BINARY_DIR}/cmake/keyflight-config-version.cmake DESTINATION ${keyflight_cmake_dir})
    if(NOT KEYFLIGHT_AWS)
        set(without_aws PATTERN "aws*.h" EXCLUDE)
    endif()
    install(DIRECTORY include/keyflight TYPE INCLUDE FILES_MATCHING PATTERN "*.h" ${without_aws})
endif()
if(KEYFLIGHT_PROGRAM)
    install(TARGETS keyflight_program)
endif()

# ---- pkg-config ----
#
# NAME.pc is for the shared library. NAME-static.pc is for our archive, and takes what that needs as shared libraries:
# Debian's libcurl cannot be linked statically (docs/linking.md). If no shared library is built, NAME.pc leads to
# NAME-static.pc. libcurl and yajl stand there as flags, not as packages. As a package libcurl would, with --static, ask
# for a dozen libraries that are not installed with it, and yajl would show users its own headers.

# keyflight_write_pc(NAME DESCRIPTION [REQUIRES PACKAGE...] [REQUIRES_PRIVATE PACKAGE...] [LIBS FLAG...])
function(keyflight_write_pc pc_name pc_description)
    cmake_parse_arguments(PARSE_ARGV 2 pc "" "" "REQUIRES;REQUIRES_PRIVATE;LIBS")
    list(JOIN pc_REQUIRES ", " pc_requires)
    list(JOIN pc_REQUIRES_PRIVATE ", " pc_requires_private)
    list(JOIN pc_LIBS " " pc_libs)
    configure_file(cmake/keyflight.pc.in cmake/${pc_name}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/cmake/${pc_name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

# keyflight_write_pcs(NAME DESCRIPTION [OURS PACKAGE] [REQUIRES PACKAGE...] [LIBS FLAG...]): both files. OURS is the
# package of Keyflight that NAME builds on; REQUIRES and LIBS are what the archive needs as well.
function(keyflight_write_pcs name description)
    cmake_parse_arguments(PARSE_ARGV 2 its "" "OURS" "REQUIRES;LIBS")
    set(same_release "= ${PROJECT_VERSION}")
    if(its_OURS)
        set(ours "${its_OURS} ${same_release}")
        set(ours_static "${its_OURS}-static ${same_release}")
    endif()
    if(KEYFLIGHT_STATIC)
        set(static "${name}-static ${same_release}")
        keyflight_write_pc(${name}-static "${description} (the static library)" REQUIRES ${ours_static} ${its_REQUIRES}
                           LIBS -L\${libdir} -l:lib${name}.a ${its_LIBS} ${keyflight_bind_now})
    endif()
    if(KEYFLIGHT_SHARED)
        keyflight_write_pc(${name} "${description}" REQUIRES ${ours} REQUIRES_PRIVATE ${static}
                           LIBS -L\${libdir} -l${name})
    elseif(KEYFLIGHT_STATIC)
        keyflight_write_pc(${name} "${description}" REQUIRES ${static})
    endif()
endfunction()

set(pc_prefix ${CMAKE_INSTALL_PREFIX})
set(pc_libdir ${CMAKE_INSTALL_LIBDIR})
set(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
if(NOT IS_ABSOLUTE ${pc_libdir})
    file(RELATIVE_PATH pc_prefix /${pc_libdir}/pkgconfig /)
    string(REGEX REPLACE "/$" "" pc_prefix \${pcfiledir}/${pc_prefix})
    set(pc_libdir \${prefix}/${pc_libdir})
endif()
if(NOT IS_ABSOLUTE ${pc_includedir})
    set(pc_includedir \${prefix}/${pc_includedir})
endif()

set(pc_requires libcrypto)
if(keyflight_nettle_FOUND)
    list(APPEND pc_requires nettle hogweed gmp)
endif()
keyflight_write_pcs(keyflight "${PROJECT_DESCRIPTION}" REQUIRES ${pc_requires} LIBS ${CMAKE_THREAD_LIBS_INIT})
if(KEYFLIGHT_AWS)
    set(pc_libs ${keyflight_curl_LDFLAGS} ${keyflight_yajl_LDFLAGS})
    foreach(folder IN LISTS CMAKE_C_IMPLICIT_LINK_DIRECTORIES)
        list(REMOVE_ITEM pc_libs -L${folder})
    endforeach()
    keyflight_write_pcs(keyflight-aws "Keyflight with keys in AWS KMS" OURS keyflight REQUIRES libssl LIBS ${pc_libs})
endif()

# An installation in /usr or /usr/local is not moved, so its folders are written out: pkg-config recognizes the
# system's folders, and leaves them out of what it prints, only if they are written without "..".
install(CODE "set(folder \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig\")")
install(CODE [[
if(CMAKE_INSTALL_PREFIX MATCHES "^/usr(/local)?$")
    file(GLOB packages ${folder}/keyflight*.pc)
    foreach(package IN LISTS packages)
        file(READ ${package} text)
        string(REGEX REPLACE "^prefix=[^\n]*" "prefix=${CMAKE_INSTALL_PREFIX}" text "${text}")
        file(WRITE ${package} "${text}")
    endforeach()
endif()
]])

# ---- Documents, laid out as here, so that the links between them hold ----

install(FILES LICENSE README.md CHANGELOG.md TYPE DOC)
file(GLOB guides CONFIGURE_DEPENDS docs/*.md docs/*.svg)
install(FILES ${guides} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
install(DIRECTORY docs/decisions DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
install(DIRECTORY examples TYPE DOC)
if(KEYFLIGHT_PROGRAM)
    set(program_section 1)
endif()
foreach(section ${program_section} 3 7)
    file(GLOB pages CONFIGURE_DEPENDS docs/man/*.${section})
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
