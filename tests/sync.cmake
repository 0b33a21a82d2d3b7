# The runner, its queue and logs, over fakes of a source and a destination.
add_library(fake_sync STATIC ${CMAKE_CURRENT_SOURCE_DIR}/support/fake_sync.c
    ${CMAKE_CURRENT_SOURCE_DIR}/support/fake_registry.c)
target_link_libraries(fake_sync PUBLIC sync)
unit_test(test_queue sync)
unit_test(test_run fake_sync)
unit_test(test_config config)
unit_test(test_logstream sync)
unit_test(test_runs sync fake_sync)
