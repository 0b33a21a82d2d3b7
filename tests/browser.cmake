# The pages for people, in a real browser. Pictures of them are in the build tree afterwards.
if(TARGET connectord)
    add_test(NAME browser/docs COMMAND ${DEBIAN_PYTHON3} ${CMAKE_CURRENT_LIST_DIR}/browser/test_docs.py
        ${CMAKE_BINARY_DIR}/pictures)
    set_tests_properties(browser/docs PROPERTIES LABELS browser TIMEOUT 300 SKIP_RETURN_CODE 77
        ENVIRONMENT "CONNECTORD_BIN=$<TARGET_FILE:connectord>;PYTHONDONTWRITEBYTECODE=1")
endif()
