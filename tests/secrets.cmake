include(${CMAKE_CURRENT_LIST_DIR}/fuzz.cmake)

# The files of a test in a directory of its own.
add_library(tempdir STATIC support/tempdir.c)
target_link_libraries(tempdir PUBLIC base)

unit_test(test_keyring secrets tempdir base)
target_link_options(test_keyring PRIVATE
    -Wl,--wrap=hash_random,--wrap=fstat,--wrap=fsync,--wrap=write,--wrap=read)
unit_test(test_references secrets tempdir base)

fuzz_target(secret_open secrets base)
