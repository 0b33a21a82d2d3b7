# The runner, its queue and logs, over fakes of a source and a destination.
add_library(fake_sync STATIC ${CMAKE_CURRENT_SOURCE_DIR}/support/fake_sync.c
    ${CMAKE_CURRENT_SOURCE_DIR}/support/fake_registry.c
    ${CMAKE_CURRENT_SOURCE_DIR}/support/run_bench.c)
target_link_libraries(fake_sync PUBLIC sync)
unit_test(test_queue sync)
unit_test(test_run fake_sync)
unit_test(test_lanes fake_sync)
unit_test(test_retry fake_sync)
unit_test(test_tally sync)
unit_test(test_spread sync fake_sync)
unit_test(test_config config)
unit_test(test_memlimit config tempdir)
unit_test(test_servicelog config)
unit_test(test_logstream sync)
unit_test(test_runs sync fake_sync)
unit_test(test_settings sync fake_sync)
unit_test(test_sealed sync fake_sync)
target_link_options(test_sealed PRIVATE -Wl,--wrap=store_update_resource)
unit_test(test_identity identity sync fake_sync sqlite3)
unit_test(test_vault sync registry sqlite3)

include(${CMAKE_CURRENT_LIST_DIR}/fuzz.cmake)
fuzz_target(config_file config)
fuzz_target(log_escape sync config)

# Plain main(): Criterion does not start under ThreadSanitizer, which this is for.
foreach(name sync lanes)
    add_executable(stress_${name} ${CMAKE_CURRENT_SOURCE_DIR}/stress/stress_${name}.c)
    set_target_properties(stress_${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME stress/${name} COMMAND stress_${name})
    set_tests_properties(stress/${name} PROPERTIES LABELS stress TIMEOUT 300
        FAIL_REGULAR_EXPRESSION "SUMMARY: [A-Za-z]+Sanitizer;runtime error:")
endforeach()
target_link_libraries(stress_sync PRIVATE sync Threads::Threads)
target_link_libraries(stress_lanes PRIVATE fake_sync Threads::Threads)
