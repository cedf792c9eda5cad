# Runs COMMAND (a list) and expects the exit status STATUS, nothing on stderr, and stdout like LINE.
execute_process(COMMAND ${COMMAND} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE words)
if(NOT status EQUAL STATUS OR NOT words STREQUAL "" OR NOT text MATCHES "${LINE}")
    message(FATAL_ERROR "exit status ${status} and not ${STATUS}, or not ${LINE}: ${text}${words}")
endif()
