unit_test(test_error base)
