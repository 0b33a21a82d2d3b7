# The README is run as it stands.
add_test(NAME docs/readme COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/docs/readme.py)
set_tests_properties(docs/readme PROPERTIES LABELS docs TIMEOUT 900)
# What the runbook names exists.
if(TARGET connectord)
    add_test(NAME docs/runbook COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/docs/runbook.py
        ${CMAKE_BINARY_DIR}/openapi/openapi.json)
    set_tests_properties(docs/runbook PROPERTIES LABELS docs ENVIRONMENT "CONNECTORD_BIN=$<TARGET_FILE:connectord>")
endif()
