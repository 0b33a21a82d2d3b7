# The runner, its queue and logs, over fakes of a source and a destination.
add_library(fake_sync STATIC ${CMAKE_CURRENT_SOURCE_DIR}/support/fake_sync.c
    ${CMAKE_CURRENT_SOURCE_DIR}/support/fake_registry.c
    ${CMAKE_CURRENT_SOURCE_DIR}/support/run_bench.c)
target_link_libraries(fake_sync PUBLIC sync)
unit_test(test_queue sync)
unit_test(test_run fake_sync)
unit_test(test_lanes fake_sync)
unit_test(test_retry fake_sync)
unit_test(test_spread sync fake_sync)
unit_test(test_config config)
unit_test(test_servicelog config)
unit_test(test_logstream sync)
unit_test(test_runs sync fake_sync)
unit_test(test_settings sync fake_sync)

# Plain main(): Criterion does not start under ThreadSanitizer, which this is for.
add_executable(stress_sync ${CMAKE_CURRENT_SOURCE_DIR}/stress/stress_sync.c)
target_link_libraries(stress_sync PRIVATE sync Threads::Threads)
set_target_properties(stress_sync PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME stress/sync COMMAND stress_sync)
set_tests_properties(stress/sync PROPERTIES LABELS stress TIMEOUT 300
    FAIL_REGULAR_EXPRESSION "SUMMARY: [A-Za-z]+Sanitizer;runtime error:")
