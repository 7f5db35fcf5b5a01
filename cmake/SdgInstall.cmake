# `cmake --install` gives the library, its headers, the program, the shipped configs and find_package(sdg).
include(CMakePackageConfigHelpers)
install(TARGETS sdg RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS sdg_lib EXPORT sdg_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/sdg DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY configs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/sdg/configs)
