unit_test(test_option connectors)
unit_test(test_selection connectors)
