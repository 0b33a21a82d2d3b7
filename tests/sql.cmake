add_library(sqlite_fixture STATIC support/pump.c support/sqlite_fixture.c)
target_link_libraries(sqlite_fixture PUBLIC test_support sources destinations sql connectors data
    base PRIVATE sqlite3)

unit_test(test_sql_statement sql connectors data base)
unit_test(test_sql_scan sql connectors data base)
unit_test(test_sql_names sql base)
unit_test(test_sql_literal sql base)
unit_test(test_sql_keyset sql data base)
unit_test(test_sql_evolve sql connectors data base)
unit_test(test_sqlite_destination sqlite_fixture sqlite3)
unit_test(test_sqlite_source sqlite_fixture sqlite3)
unit_test(test_sqlite_filter sqlite_fixture sqlite3)
unit_test(test_sqlite_types sqlite_fixture)

add_library(scripted_source STATIC support/scripted_source.c)
target_link_libraries(scripted_source PUBLIC sql connectors base)
unit_test(test_sql_horizon scripted_source sqlite_fixture)
unit_test(test_sql_bookmarks scripted_source sqlite_fixture sqlite3)

torture_test(sqlite_torture sqlite_fixture)

# The same scenarios against every SQL database.
add_library(target_fixture STATIC support/target_fixture.c)
target_link_libraries(target_fixture PUBLIC sqlite_fixture databases)
unit_test(test_sql_destinations target_fixture)
unit_test(test_sql_swap target_fixture)
unit_test(test_sql_values target_fixture)
with_databases(unit/test_sql_destinations unit/test_sql_swap unit/test_sql_values)

include(${CMAKE_CURRENT_LIST_DIR}/fuzz.cmake)
fuzz_target(ident_quote sql base)
fuzz_target(sqlite_file test_support sources sql connectors data base)
