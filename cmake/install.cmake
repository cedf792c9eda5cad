# Headers, both libraries, the CMake package and waybill.pc. Programs install themselves (perf).

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Waybill)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/waybill DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(TARGETS waybill waybill_internal EXPORT WaybillTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

install(EXPORT WaybillTargets NAMESPACE Waybill:: DESTINATION ${package_dir})
configure_package_config_file(cmake/WaybillConfig.cmake.in WaybillConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(WaybillConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/WaybillConfig.cmake
              ${PROJECT_BINARY_DIR}/WaybillConfigVersion.cmake
        DESTINATION ${package_dir})

# The prefix is found from the .pc file's own place, so that an installed tree can be moved.
file(RELATIVE_PATH WB_PC_TO_PREFIX
     ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
if(WAYBILL_LZ4)
    set(WB_LZ4_LIBS "-llz4 ")
endif()
configure_file(cmake/waybill.pc.in waybill.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/waybill.pc DESTINATION ${pkgconfig_dir})
