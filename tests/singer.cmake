unit_test(test_singer_process test_support singer connectors data base)
unit_test(test_singer_program test_support singer connectors data base)
unit_test(test_singer_write singer connectors data base)
