add_library(mysql_fixture STATIC support/fake_mysql.c support/mysql_fixture.c)
target_link_libraries(mysql_fixture PUBLIC test_support destinations sql_mysql sql connectors data
    base databases)

unit_test(test_mysql_connect mysql_fixture)
unit_test(test_mysql_bulk mysql_fixture PkgConfig::LIBMARIADB m)
unit_test(test_mysql_destination mysql_fixture sqlite_fixture)
with_databases(unit/test_mysql_connect unit/test_mysql_bulk unit/test_mysql_destination)

add_library(mysql_session STATIC support/mysql_session.c)
target_link_libraries(mysql_session PUBLIC databases PkgConfig::LIBMARIADB)

unit_test(test_mysql_discover source_fixture sources)
unit_test(test_mysql_source source_fixture sources)
unit_test(test_mysql_moment source_fixture mysql_session sources sql_mysql sql)
unit_test(test_mysql_sessions source_fixture mysql_session sources)
unit_test(test_mysql_incremental source_fixture mysql_session sources)
with_databases(unit/test_mysql_discover unit/test_mysql_source unit/test_mysql_moment
    unit/test_mysql_sessions unit/test_mysql_incremental)
# Whatever is open on the server at the time holds the bookmarks back.
set_tests_properties(unit/test_mysql_incremental PROPERTIES RUN_SERIAL TRUE)
