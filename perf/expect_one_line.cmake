# Runs COMMAND (a list) and expects the exit status STATUS and exactly one line on stderr.
execute_process(COMMAND ${COMMAND} RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE words)
if(NOT status EQUAL STATUS)
    message(FATAL_ERROR "exit status ${status} instead of ${STATUS}; it said: ${words}")
endif()
if(NOT words MATCHES "^[^\n]+\n$")
    message(FATAL_ERROR "not one line: ${words}")
endif()
