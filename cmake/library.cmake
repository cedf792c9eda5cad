# The rooms' objects, twice: libwaybill.so shows the public names alone; the archive has every name
# within reach, for unit tests and for programs that link statically.

get_property(rooms GLOBAL PROPERTY WB_ROOMS)
set(objects "")
foreach(room IN LISTS rooms)
    list(APPEND objects $<TARGET_OBJECTS:${room}>)
endforeach()

set(map ${PROJECT_SOURCE_DIR}/cmake/waybill.map)
add_library(waybill SHARED ${objects})
target_link_libraries(waybill PRIVATE Threads::Threads PkgConfig::HWLOC PkgConfig::VERBS ${WB_LZ4})
# nodelete: a thread that ends after dlclose still gives back what it has cached.
target_link_options(waybill PRIVATE LINKER:--version-script=${map} LINKER:-z,nodelete ${WB_LTO_FLAGS})
if(NOT WAYBILL_SANITIZE)
    # clang leaves the sanitizers' own symbols to the program.
    target_link_options(waybill PRIVATE LINKER:--no-undefined)
endif()
set_target_properties(waybill PROPERTIES
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}
    LINKER_LANGUAGE C
    LINK_DEPENDS ${map})

add_library(waybill_internal STATIC ${objects})
target_link_libraries(waybill_internal PUBLIC Threads::Threads PkgConfig::HWLOC PkgConfig::VERBS ${WB_LZ4})
set_target_properties(waybill_internal PROPERTIES
    OUTPUT_NAME waybill
    EXPORT_NAME waybill_static
    LINKER_LANGUAGE C)

foreach(library waybill waybill_internal)
    target_include_directories(${library} INTERFACE
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
add_library(Waybill::waybill ALIAS waybill)
add_library(Waybill::waybill_static ALIAS waybill_internal)
