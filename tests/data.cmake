include(${CMAKE_CURRENT_LIST_DIR}/fuzz.cmake)

unit_test(test_type data base m)
unit_test(test_schema data base m)
unit_test(test_value data base m)
unit_test(test_value_time data base m)
unit_test(test_value_decimal data base m)
unit_test(test_batch data base m)

fuzz_target(batch_parsed data base m)
fuzz_target(value data base m)
