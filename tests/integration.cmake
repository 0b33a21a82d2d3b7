# Each file talks to the real program over HTTP. Debian's python3 has the modules they need.
if(TARGET connectord)
    file(GLOB integration_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/integration/test_*.py)
    foreach(file ${integration_tests})
        get_filename_component(name ${file} NAME_WE)
        string(REPLACE "test_" "" name ${name})
        add_test(NAME integration/${name} COMMAND ${DEBIAN_PYTHON3} ${file})
        set_tests_properties(integration/${name} PROPERTIES LABELS integration TIMEOUT 900
            ENVIRONMENT "CONNECTORD_BIN=$<TARGET_FILE:connectord>;PYTHONDONTWRITEBYTECODE=1")
        with_databases(integration/${name})
    endforeach()
endif()
