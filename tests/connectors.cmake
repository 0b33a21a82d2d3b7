add_library(test_support STATIC support/counter.c support/fake_sink.c support/harness.c
    support/relay.c support/tempdir.c)
target_link_libraries(test_support PUBLIC connectors data base)

unit_test(test_option connectors)
unit_test(test_catalog connectors)
unit_test(test_commons connectors)
unit_test(test_selection connectors)
unit_test(test_filter connectors data base)
unit_test(test_sample test_support sources connectors)
unit_test(test_counter test_support connectors)

# One suite for every source, one for every destination; cases.c lists them.
add_library(test_conformance_cases STATIC conformance/cases.c conformance/rest_case.c
    conformance/server_cases.c conformance/singer_case.c)
target_link_libraries(test_conformance_cases PUBLIC test_support databases fake_api sources
    destinations sqlite3)
function(conformance_test name)
    add_executable(conformance_${name} conformance/${name}.c support/supervisor.c)
    target_link_libraries(conformance_${name} PRIVATE test_conformance_cases criterion)
    target_compile_options(conformance_${name} PRIVATE -Wno-missing-field-initializers
        -Wno-missing-prototypes -Wno-missing-declarations -Wno-pedantic -Wno-redundant-decls
        -Wno-cast-qual)
    set_target_properties(conformance_${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME conformance/${name} COMMAND conformance_${name} -j1
        WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(conformance/${name} PROPERTIES LABELS conformance
        FAIL_REGULAR_EXPRESSION "SUMMARY: [A-Za-z]+Sanitizer;runtime error:")
endfunction()

conformance_test(sources)
conformance_test(destinations)
with_databases(conformance/sources conformance/destinations)

add_test(NAME docs/authoring
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/docs/authoring.py)
set_tests_properties(docs/authoring PROPERTIES LABELS docs)

unit_test(test_registry registry test_conformance_cases)
unit_test(test_secret connectors)

include(${CMAKE_CURRENT_LIST_DIR}/fuzz.cmake)
fuzz_target(catalog connectors)
fuzz_target(option_table registry)
