add_library(fake_api STATIC ${CMAKE_CURRENT_SOURCE_DIR}/support/fake_api.c)
target_link_libraries(fake_api PUBLIC base PRIVATE microhttpd)
unit_test(test_http_client http_client fake_api z)
unit_test(test_http_retry http_client)
# It sees what libcurl is given.
unit_test(test_http_options http_client fake_api PkgConfig::LIBCURL)
target_link_options(test_http_options PRIVATE -Wl,--wrap=curl_easy_setopt)

include(${CMAKE_CURRENT_LIST_DIR}/fuzz.cmake)
fuzz_target(url_redirect http_client)
