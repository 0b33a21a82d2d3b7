add_library(postgres_fixture STATIC support/fake_postgres.c support/postgres_fixture.c
    support/postgres_rows.c)
target_link_libraries(postgres_fixture PUBLIC test_support sources destinations sql_postgres sql
    connectors data base databases PkgConfig::LIBPQ PRIVATE criterion)

add_library(source_fixture STATIC support/source_fixture.c)
target_link_libraries(source_fixture PUBLIC test_support databases PRIVATE criterion)
target_compile_options(source_fixture PRIVATE -Wno-missing-field-initializers -Wno-pedantic)

unit_test(test_postgres_source source_fixture sources sql_postgres PkgConfig::LIBPQ)
unit_test(test_postgres_discover source_fixture sources)
with_databases(unit/test_postgres_source unit/test_postgres_discover)
unit_test(test_postgres_decode sql_postgres sql connectors data base)

include(${CMAKE_CURRENT_LIST_DIR}/fuzz.cmake)
fuzz_target(postgres_decode sql_postgres sql connectors data base)

unit_test(test_postgres_connect postgres_fixture)
unit_test(test_postgres_copy postgres_fixture)
unit_test(test_postgres_destination postgres_fixture sqlite_fixture)
with_databases(unit/test_postgres_connect unit/test_postgres_copy unit/test_postgres_destination)

torture_test(postgres_torture postgres_fixture)
with_databases(torture/postgres_torture)
