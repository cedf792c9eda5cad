# Runs COMMAND (a list) and expects exit status 0 and lines on stdout that are JSON objects with KEYS
# (a list; rtt_us.p50 is p50 in rtt_us).
execute_process(COMMAND ${COMMAND} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE words)
if(NOT status EQUAL 0 OR NOT words STREQUAL "")
    message(FATAL_ERROR "exit status ${status}; it said: ${words}")
endif()
string(REPLACE ";" "," text "${text}") # lest a list falls apart
string(REGEX MATCHALL "[^\n]+" lines "${text}")
if(NOT lines)
    message(FATAL_ERROR "nothing on stdout")
endif()
foreach(line IN LISTS lines)
    foreach(key IN LISTS KEYS)
        string(REPLACE "." ";" path "${key}")
        string(JSON value GET "${line}" ${path})
    endforeach()
endforeach()
