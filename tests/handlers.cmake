unit_test(test_routes handlers openapi)
unit_test(test_secrets handlers openapi)
unit_test(test_policy handlers openapi)
