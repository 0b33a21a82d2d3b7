include(${CMAKE_CURRENT_LIST_DIR}/fuzz.cmake)

# The files of a test in a directory of its own.
add_library(tempdir STATIC support/tempdir.c)
target_link_libraries(tempdir PUBLIC base)

unit_test(test_keyring secrets tempdir base)
target_link_options(test_keyring PRIVATE
    -Wl,--wrap=hash_random,--wrap=fstat,--wrap=fsync,--wrap=write,--wrap=read)
unit_test(test_references secrets tempdir base)

# For ThreadSanitizer: what a reload replaces while it is in use.
add_executable(stress_reload stress/stress_reload.c)
target_link_libraries(stress_reload PRIVATE http secrets tempdir base Threads::Threads)
set_target_properties(stress_reload PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME stress/reload COMMAND stress_reload)
set_tests_properties(stress/reload PROPERTIES LABELS stress TIMEOUT 300)

fuzz_target(secret_open secrets base)
