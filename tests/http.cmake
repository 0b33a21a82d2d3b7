include(${CMAKE_CURRENT_LIST_DIR}/fuzz.cmake)

unit_test(test_auth http)
unit_test(test_cidr http)
unit_test(test_http_gate http)
unit_test(test_http_response http)
unit_test(test_http_router http)
unit_test(test_http_status http)
unit_test(test_http_target http)

# A server in the process of the test, and peers that speak to it byte by byte.
add_library(http_support STATIC support/http_peer.c)
target_link_libraries(http_support PUBLIC http)
foreach(test deadlines framing limits server stop)
    unit_test(test_http_${test} http_support)
    # Criterion passes a test whose server dies while it is stopped.
    set_tests_properties(unit/test_http_${test} PROPERTIES TIMEOUT 120 FAIL_REGULAR_EXPRESSION
        "SUMMARY: [A-Za-z]+Sanitizer;runtime error:;crashed during its setup or teardown")
endforeach()

# For ThreadSanitizer, under which Criterion does not start; it exits with 66 on a race.
add_executable(stress_http stress/stress_http.c)
target_link_libraries(stress_http PRIVATE http_support)
set_target_properties(stress_http PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME stress/http COMMAND stress_http 3)
set_tests_properties(stress/http PROPERTIES LABELS stress TIMEOUT 120)

fuzz_target(http_target http)
fuzz_target(http_conversation http_support)
