unit_test(test_roots sqlite_fixture test_support destinations files sql sqlite3 Threads::Threads)
target_link_options(test_roots PRIVATE -Wl,--wrap=fstat,--wrap=open)
# The same where the kernel does not know openat2, or a filter keeps it away.
find_program(STRACE strace)
foreach(error ENOSYS EPERM)
    add_test(NAME unit/test_roots_${error} COMMAND ${STRACE} -f -qq -o /dev/null -e trace=openat2
        -e inject=openat2:error=${error} $<TARGET_FILE:test_roots> -j1 WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(unit/test_roots_${error} PROPERTIES LABELS unit ENVIRONMENT
        "ASAN_OPTIONS=detect_leaks=0" # which cannot look while it is traced itself
        FAIL_REGULAR_EXPRESSION "SUMMARY: [A-Za-z]+Sanitizer;runtime error:")
endforeach()
