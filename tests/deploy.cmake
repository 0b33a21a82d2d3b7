# What an operator meets: the image, the package, the gateway, the files of systemd and Kubernetes.
# A stage that lacks a privilege or a program is skipped with its reason.
if(TARGET connectord)
    foreach(name container package gateway files)
        add_test(NAME deploy/${name} COMMAND ${DEBIAN_PYTHON3} ${CMAKE_CURRENT_LIST_DIR}/deploy/test_${name}.py)
        set_tests_properties(deploy/${name} PROPERTIES LABELS deploy TIMEOUT 900 SKIP_RETURN_CODE 77
            ENVIRONMENT "CONNECTORD_BIN=$<TARGET_FILE:connectord>;PYTHONDONTWRITEBYTECODE=1")
    endforeach()
endif()
