# The README is run as it stands.
add_test(NAME docs/readme COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/docs/readme.py)
set_tests_properties(docs/readme PROPERTIES LABELS docs TIMEOUT 900)
