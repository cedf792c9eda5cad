# What every ctest case shares. wb_test_case(<name> LABEL <label> [TIMEOUT <s>] [RUN_SERIAL]
# COMMAND <word>...)
function(wb_test_case name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "RUN_SERIAL" "LABEL;TIMEOUT" "COMMAND")
    if(NOT WAYBILL_TESTS)
        return()
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    add_test(NAME ${name} COMMAND ${arg_COMMAND})
    # CK_FORK=no: a debugger and the sanitizers see the test itself; ctest keeps the time.
    set_tests_properties(${name} PROPERTIES
        LABELS ${arg_LABEL}
        TIMEOUT ${arg_TIMEOUT}
        RUN_SERIAL ${arg_RUN_SERIAL}
        SKIP_RETURN_CODE 77
        ENVIRONMENT "CK_FORK=no;\
ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1;\
UBSAN_OPTIONS=print_stacktrace=1;\
TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
endfunction()
