unit_test(test_http_gate http)
unit_test(test_http_router http)
unit_test(test_http_status http)
unit_test(test_http_target http)
