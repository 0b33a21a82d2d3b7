# The API description before judges of other people: a linter, a generated client, a fuzzer. They
# come from package registries; where one cannot be reached the test is skipped with its reason.
if(TARGET connectord)
    foreach(name lint client fuzz)
        add_test(NAME openapi/${name} COMMAND ${DEBIAN_PYTHON3} ${CMAKE_CURRENT_LIST_DIR}/openapi/test_${name}.py
            ${CMAKE_BINARY_DIR}/openapi/openapi.json)
        set_tests_properties(openapi/${name} PROPERTIES LABELS openapi TIMEOUT 600 SKIP_RETURN_CODE 77
            ENVIRONMENT "CONNECTORD_BIN=$<TARGET_FILE:connectord>;PYTHONDONTWRITEBYTECODE=1")
    endforeach()
    add_test(NAME openapi/examples COMMAND ${DEBIAN_PYTHON3} ${CMAKE_CURRENT_LIST_DIR}/openapi/test_examples.py)
    set_tests_properties(openapi/examples PROPERTIES LABELS openapi TIMEOUT 600
        ENVIRONMENT "CONNECTORD_BIN=$<TARGET_FILE:connectord>;PYTHONDONTWRITEBYTECODE=1")
endif()
