# The SDK, installed and used as an author does.
if(TARGET connectord)
    add_test(NAME sdk/projects COMMAND ${DEBIAN_PYTHON3} ${CMAKE_CURRENT_LIST_DIR}/sdk/projects.py)
    set_tests_properties(sdk/projects PROPERTIES LABELS sdk TIMEOUT 900
        ENVIRONMENT "CONNECTORD_BUILD=${CMAKE_BINARY_DIR};CC=${CMAKE_C_COMPILER};PYTHONDONTWRITEBYTECODE=1")
    with_databases(sdk/projects)
endif()
