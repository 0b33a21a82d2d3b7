# fuzz_target(NAME LIBRARIES...): tests/fuzz/fuzz_NAME.c, one function that takes bytes.
#
# With CONNECTORD_FUZZ it becomes a libFuzzer program, run by tests/fuzz/short.sh. Under
# AddressSanitizer the same source replays tests/fuzz/corpus/NAME as a test, so that an input that
# once failed never fails again.
#
# Include this file where the targets of a layer are listed.
include_guard(GLOBAL)

# What tests/fuzz/short.sh builds: not the whole suite.
add_custom_target(fuzz_targets)

function(fuzz_target name)
    if(CONNECTORD_FUZZ)
        add_executable(fuzz_${name} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_${name}.c)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    elseif(CONNECTORD_SANITIZE MATCHES "address")
        add_executable(fuzz_${name} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_${name}.c
            ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/replay.c)
        add_test(NAME fuzz/${name}
            COMMAND fuzz_${name} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name})
        set_tests_properties(fuzz/${name} PROPERTIES LABELS fuzz)
    else()
        return()
    endif()
    add_dependencies(fuzz_targets fuzz_${name})
    target_link_libraries(fuzz_${name} PRIVATE ${ARGN})
    set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endfunction()
