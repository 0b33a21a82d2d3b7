add_library(source_fixture STATIC support/source_fixture.c)
target_link_libraries(source_fixture PUBLIC test_support databases PRIVATE criterion)
target_compile_options(source_fixture PRIVATE -Wno-missing-field-initializers -Wno-pedantic)

unit_test(test_postgres_source source_fixture sources)
with_databases(unit/test_postgres_source)
