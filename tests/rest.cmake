unit_test(test_rest_page rest)
unit_test(test_rest_path rest)
unit_test(test_rest_pattern rest)
unit_test(test_rest_template rest)
