# Rules that a machine can check, in the same ctest run as the tests.
foreach(check layers banned sql size lessons requirements security)
    add_test(NAME lint/${check} COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/lint/${check}.py)
    set_tests_properties(lint/${check} PROPERTIES LABELS lint)
endforeach()
add_test(NAME lint/format COMMAND ${CMAKE_SOURCE_DIR}/tests/lint/format.sh)
set_tests_properties(lint/format PROPERTIES LABELS lint)
add_test(NAME lint/release COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/lint/release.py)
set_tests_properties(lint/release PROPERTIES LABELS lint SKIP_RETURN_CODE 77)
