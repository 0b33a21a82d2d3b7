unit_test(test_rest_page rest)
unit_test(test_rest_path rest)
