add_library(test_support STATIC support/fake_sink.c support/harness.c)
target_link_libraries(test_support PUBLIC connectors data base)

unit_test(test_option connectors)
unit_test(test_catalog connectors)
unit_test(test_selection connectors)
unit_test(test_sample test_support sources connectors)
