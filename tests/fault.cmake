# Faults of the machine against the real program: power, disk, descriptors, signals, system calls.
# What a machine does not permit is skipped, and says why.
if(TARGET connectord)
    file(GLOB fault_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/fault/test_*.py)
    foreach(file ${fault_tests})
        get_filename_component(name ${file} NAME_WE)
        string(REPLACE "test_" "" name ${name})
        add_test(NAME fault/${name} COMMAND ${DEBIAN_PYTHON3} ${file})
        set_tests_properties(fault/${name} PROPERTIES LABELS fault TIMEOUT 900
            ENVIRONMENT "CONNECTORD_BIN=$<TARGET_FILE:connectord>;PYTHONDONTWRITEBYTECODE=1")
        with_databases(fault/${name})
    endforeach()
endif()
