# mistral_embed_files(TARGET FUNCTION function HEADER header ROOT folder) makes the files of a folder
# part of TARGET: a source file that defines `function`, declared in `header`, which returns them as
# mistral::server::WebFile values: path below /web/ (index.html is /), type, bytes and a tag that
# changes with the content.
function(mistral_embed_files target)
  cmake_parse_arguments(EMBED "" "FUNCTION;HEADER;ROOT" "" ${ARGN})
  file(GLOB names CONFIGURE_DEPENDS RELATIVE ${EMBED_ROOT} ${EMBED_ROOT}/*.*)
  set(arrays "")
  set(table "")
  set(index 0)
  foreach(name IN LISTS names)
    set(file ${EMBED_ROOT}/${name})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} bytes HEX)
    string(LENGTH "${bytes}" digits)
    math(EXPR size "${digits} / 2")
    # Lines that editors and compilers can bear.
    string(REGEX REPLACE "(................................................)" "\\1\n" bytes "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    file(SHA256 ${file} digest)
    string(SUBSTRING ${digest} 0 32 digest)
    get_filename_component(extension ${name} LAST_EXT)
    if(extension STREQUAL ".html")
      set(type "text/html; charset=utf-8")
    elseif(extension STREQUAL ".css")
      set(type "text/css; charset=utf-8")
    elseif(extension STREQUAL ".js")
      set(type "text/javascript; charset=utf-8")
    elseif(extension STREQUAL ".svg")
      set(type "image/svg+xml")
    else()
      message(FATAL_ERROR "mistral_embed_files: no content type is known for ${name}")
    endif()
    set(path "/web/${name}")
    if(name STREQUAL "index.html")
      set(path "/")
    endif()
    string(APPEND arrays "constexpr unsigned char kFile${index}[] = {\n${bytes}};\n")
    string(APPEND table "    {\"${path}\", \"${type}\", {reinterpret_cast<const char*>(kFile${index}), ${size}}, \"\\\"${digest}\\\"\"},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${EMBED_FUNCTION}.cpp)
  file(CONFIGURE OUTPUT ${output} @ONLY CONTENT [[// Made by cmake/EmbedFiles.cmake.
#include "@EMBED_HEADER@"

namespace mistral::server {
namespace {

@arrays@
}  // namespace

std::span<const WebFile> @EMBED_FUNCTION@() {
  static const WebFile files[] = {
@table@  };
  return files;
}

}  // namespace mistral::server
]])
  target_sources(${target} PRIVATE ${output})
endfunction()
