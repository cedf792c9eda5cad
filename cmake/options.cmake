# How everything here is compiled.

option(WAYBILL_WERROR "Treat warnings as errors" OFF)
set(WAYBILL_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize= takes them")
option(WAYBILL_VALGRIND "Run tests under valgrind too" OFF)
option(WAYBILL_FUZZ "Build the fuzz targets alone (needs clang and its libFuzzer)" OFF)

# The filter is built in where its library is; ON insists on it.
option(WAYBILL_LZ4 "Build the lz4 filter over archives (needs liblz4)" ${LZ4_FOUND})
set(WB_LZ4 "")
if(WAYBILL_LZ4)
    if(NOT LZ4_FOUND)
        message(FATAL_ERROR "The lz4 filter needs liblz4: install it (Debian: apt-get install "
                            "liblz4-dev), or configure with -DWAYBILL_LZ4=OFF.")
    endif()
    set(WB_LZ4 PkgConfig::LZ4)
endif()

# A nop for each probe, where the header is that makes them; ON insists on it.
include(CheckIncludeFile)
check_include_file(sys/sdt.h WAYBILL_HAS_SDT)
if(WAYBILL_HAS_SDT)
    set(probes_by_default ON)
else()
    set(probes_by_default OFF)
endif()
option(WAYBILL_PROBES "Build USDT probes in (needs sys/sdt.h)" ${probes_by_default})
if(WAYBILL_PROBES AND NOT WAYBILL_HAS_SDT)
    message(FATAL_ERROR "Probes need sys/sdt.h: install it (Debian: apt-get install "
                        "systemtap-sdt-dev), or configure with -DWAYBILL_PROBES=OFF.")
endif()

# Tests come with the top-level project, where Check is installed; ON insists on it.
pkg_check_modules(CHECK IMPORTED_TARGET GLOBAL check)
if(PROJECT_IS_TOP_LEVEL AND CHECK_FOUND)
    set(tests_by_default ON)
else()
    set(tests_by_default OFF)
endif()
option(WAYBILL_TESTS "Build the tests (needs Check)" ${tests_by_default})
if(WAYBILL_TESTS AND NOT CHECK_FOUND)
    message(FATAL_ERROR "The tests need Check: install it (Debian: apt-get install check), "
                        "or configure with -DWAYBILL_TESTS=OFF.")
endif()
# Before the first folder, so that folders may add tests of their own.
if(WAYBILL_TESTS)
    enable_testing()
endif()

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
add_compile_definitions(_GNU_SOURCE)

set(WB_STRICT_FLAGS
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wcast-qual -Wpointer-arith -Wundef -Wvla -Wwrite-strings -Wformat=2
    -Wdouble-promotion)
add_compile_options(${WB_STRICT_FLAGS})
if(WAYBILL_WERROR)
    add_compile_options(-Werror)
endif()

# A call goes through a dozen small functions of several rooms. The shared library is optimised as
# one; the objects are fat, so that the archive links as any other does.
set(WB_LTO_FLAGS "")
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    set(WB_LTO_FLAGS -flto=auto -ffat-lto-objects)
endif()

set(WB_SANITIZE_FLAGS "")
if(WAYBILL_SANITIZE)
    set(WB_SANITIZE_FLAGS
        -fsanitize=${WAYBILL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_compile_options(${WB_SANITIZE_FLAGS})
    add_link_options(${WB_SANITIZE_FLAGS})
endif()
if(WAYBILL_SANITIZE MATCHES "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # gcc warns of every fence. Ours order a store before a load, which TSan need not understand;
    # a fence that published data would show as a race.
    add_compile_options(-Wno-tsan)
endif()
