# Rooms: folders whose sources can include only what they may know.

# wb_view(<name> SEES <glob>...): an interface target with the public headers and, in a folder of
# its own, links to those headers that match the globs (relative to the top). No other header of the
# tree is on the include path, so a forbidden #include does not compile. New headers show up by
# themselves at the next build.
function(wb_view name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SEES")
    set(view ${PROJECT_BINARY_DIR}/rooms/${name})
    file(GLOB headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
         LIST_DIRECTORIES false ${arg_SEES})
    file(REMOVE_RECURSE ${view})
    file(MAKE_DIRECTORY ${view})
    foreach(header IN LISTS headers)
        get_filename_component(folder ${header} DIRECTORY)
        file(MAKE_DIRECTORY ${view}/${folder})
        file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${header} ${view}/${header} SYMBOLIC)
    endforeach()
    add_library(wb_view_${name} INTERFACE)
    target_include_directories(wb_view_${name} INTERFACE ${PROJECT_SOURCE_DIR}/include ${view})
endfunction()

# wb_room(NAME <name> FOLDER <folder> [SEES <glob>...] [LINKS <target>...]): the library's part in
# one folder (not in those below it), as objects that see their own headers and SEES. The part joins
# the library by itself.
function(wb_room)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;FOLDER" "SEES;LINKS")
    list(TRANSFORM arg_SEES PREPEND ${PROJECT_SOURCE_DIR}/)
    wb_view(${arg_NAME} SEES ${PROJECT_SOURCE_DIR}/${arg_FOLDER}/*.h ${arg_SEES})
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${arg_FOLDER}/*.c)
    add_library(wb_${arg_NAME} OBJECT ${sources})
    target_link_libraries(wb_${arg_NAME} PRIVATE wb_view_${arg_NAME} Threads::Threads ${arg_LINKS})
    set_target_properties(wb_${arg_NAME} PROPERTIES
        POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
    target_compile_options(wb_${arg_NAME} PRIVATE ${WB_LTO_FLAGS})
    set_property(GLOBAL APPEND PROPERTY WB_ROOMS wb_${arg_NAME})
endfunction()
