include(${CMAKE_CURRENT_LIST_DIR}/fuzz.cmake)

unit_test(test_singer_process test_support singer connectors data base)
# Linked as an object: nothing in it is called.
target_sources(test_singer_process PRIVATE support/supervisor.c)
unit_test(test_singer_program test_support singer connectors data base)
unit_test(test_singer_write singer connectors data base)
unit_test(test_singer_message singer connectors data base)

fuzz_target(singer_line singer connectors data base)
