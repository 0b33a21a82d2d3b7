unit_test(test_mysql_connect sql_mysql sql connectors data base databases)
with_databases(unit/test_mysql_connect)
