unit_test(test_option connectors)
