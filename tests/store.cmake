unit_test(test_store_faults store base sqlite3)
unit_test(test_store_open store base sqlite3)
unit_test(test_store_resources store base)
unit_test(test_store_connections store base)
unit_test(test_store_state store base)
unit_test(test_store_runs store base)
unit_test(test_store_idempotency store base)

add_executable(stress_store stress/stress_store.c)
target_link_libraries(stress_store PRIVATE store base Threads::Threads)
set_target_properties(stress_store PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME stress/store COMMAND stress_store)
set_tests_properties(stress/store PROPERTIES LABELS stress TIMEOUT 120
    FAIL_REGULAR_EXPRESSION "SUMMARY: [A-Za-z]+Sanitizer;runtime error:")
