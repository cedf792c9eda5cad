# What every ctest case shares. wb_test_case(<name> LABEL <label> [TIMEOUT <s>] [RUN_SERIAL] [LARGE]
# [COST <s>] COMMAND <word>...)
# LARGE: without sanitizers it takes half of the machine's memory, and not while another one does.
# COST: seconds, of those that take minutes: they are begun first, or one would be the last, and alone.
function(wb_test_case name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "RUN_SERIAL;LARGE" "LABEL;TIMEOUT;COST" "COMMAND")
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
    if(arg_LARGE AND NOT WAYBILL_SANITIZE)
        set_tests_properties(${name} PROPERTIES RESOURCE_LOCK memory)
    endif()
    if(arg_COST)
        set_tests_properties(${name} PROPERTIES COST ${arg_COST})
    endif()
endfunction()

# wb_test_property(<name> <property> <value>): of a case that is there where tests are.
function(wb_test_property name property value)
    if(WAYBILL_TESTS)
        set_tests_properties(${name} PROPERTIES ${property} "${value}")
    endif()
endfunction()
