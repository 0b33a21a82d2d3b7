# kill -9 and errors at every named step. Only a build with fail points can run it.
if(CONNECTORD_FAILPOINTS AND TARGET connectord)
    set(modes overwrite append incremental_append append_dedup file_overwrite file_append from_file)
    foreach(mode ${modes})
        add_test(NAME crash/${mode} COMMAND ${DEBIAN_PYTHON3} ${CMAKE_SOURCE_DIR}/tests/crash/crash.py ${mode})
        set_tests_properties(crash/${mode} PROPERTIES LABELS crash TIMEOUT 1500 FIXTURES_SETUP crash_notes
            ENVIRONMENT "CONNECTORD_BIN=$<TARGET_FILE:connectord>;PYTHONDONTWRITEBYTECODE=1")
        with_databases(crash/${mode})
    endforeach()
    add_test(NAME crash/every_step_reached COMMAND ${DEBIAN_PYTHON3} ${CMAKE_SOURCE_DIR}/tests/crash/crash.py --reached)
    set_tests_properties(crash/every_step_reached PROPERTIES LABELS crash FIXTURES_REQUIRED crash_notes
        ENVIRONMENT "CONNECTORD_BIN=$<TARGET_FILE:connectord>")
endif()
