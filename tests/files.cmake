include(${CMAKE_CURRENT_LIST_DIR}/fuzz.cmake)

add_library(folder_support STATIC support/folder.c)
target_link_libraries(folder_support PUBLIC project_flags PRIVATE z zstd)

unit_test(test_csv folder_support files connectors data base)
unit_test(test_file_source folder_support test_support sources files connectors data base zstd)
unit_test(test_file_destination folder_support test_support sources destinations files connectors data base)

fuzz_target(csv files connectors data base)
fuzz_target(unpack files connectors data base)
fuzz_target(ndjson files connectors data base)
fuzz_target(file_position files connectors data base)
