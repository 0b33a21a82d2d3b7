add_library(sqlite_fixture STATIC support/pump.c support/sqlite_fixture.c)
target_link_libraries(sqlite_fixture PUBLIC test_support sources destinations sql connectors data
    base PRIVATE sqlite3)

unit_test(test_sql_statement sql connectors data base)
unit_test(test_sql_names sql base)
unit_test(test_sql_keyset sql data base)
unit_test(test_sql_evolve sql connectors data base)
unit_test(test_sqlite_destination sqlite_fixture sqlite3)
unit_test(test_sqlite_source sqlite_fixture sqlite3)
unit_test(test_sqlite_types sqlite_fixture)

# torture_test(NAME LIBRARIES...): as unit_test, from tests/torture.
function(torture_test name)
    add_executable(${name} torture/${name}.c)
    target_link_libraries(${name} PRIVATE ${ARGN} criterion)
    target_compile_options(${name} PRIVATE -Wno-missing-field-initializers -Wno-missing-prototypes
        -Wno-missing-declarations -Wno-pedantic -Wno-redundant-decls -Wno-cast-qual)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME torture/${name} COMMAND ${name} -j1 WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(torture/${name} PROPERTIES LABELS torture TIMEOUT 900
        FAIL_REGULAR_EXPRESSION "SUMMARY: [A-Za-z]+Sanitizer;runtime error:")
endfunction()

torture_test(sqlite_torture sqlite_fixture)
