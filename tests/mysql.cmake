add_library(mysql_fixture STATIC support/fake_mysql.c support/mysql_fixture.c)
target_link_libraries(mysql_fixture PUBLIC test_support destinations sql_mysql sql connectors data
    base databases)

unit_test(test_mysql_connect mysql_fixture)
unit_test(test_mysql_bulk mysql_fixture m)
unit_test(test_mysql_destination mysql_fixture sqlite_fixture)
with_databases(unit/test_mysql_connect unit/test_mysql_bulk unit/test_mysql_destination)

unit_test(test_mysql_discover source_fixture sources)
with_databases(unit/test_mysql_discover)

unit_test(test_mysql_source source_fixture sources)
with_databases(unit/test_mysql_source)

unit_test(test_mysql_sessions source_fixture sources sql_mysql sql PkgConfig::LIBMARIADB)
with_databases(unit/test_mysql_sessions)

unit_test(test_mysql_incremental source_fixture sources PkgConfig::LIBMARIADB)
with_databases(unit/test_mysql_incremental)
# Whatever is open on the server at the time holds the bookmarks back.
set_tests_properties(unit/test_mysql_incremental PROPERTIES RUN_SERIAL TRUE)
