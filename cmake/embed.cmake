# cmake -DOUT=file.c "-DFILES=a.nac;b.nac" -DHEADER=frontend/std.h -DTYPE=FrontendStdFile -DARRAY=frontend_std
#       [-DPREFIX=std/] [-DSTEM=ON] -P embed.cmake
# Writes the texts of files as a C array of {name, text}, ended by {0, 0}: named by PREFIX and the file's
# name, without its extension if STEM.
set(text "/* Made by cmake/embed.cmake. */\n#include \"${HEADER}\"\n\n")
set(rows "")
set(number 0)
foreach(file IN LISTS FILES)
	if(STEM)
		get_filename_component(name "${file}" NAME_WE)
	else()
		get_filename_component(name "${file}" NAME)
	endif()
	file(READ "${file}" hex HEX)
	string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
	string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
	string(APPEND text "static const unsigned char text${number}[] = {\n${bytes}0};\n")
	string(APPEND rows "\t{\"${PREFIX}${name}\", (const char *)text${number}},\n")
	math(EXPR number "${number} + 1")
endforeach()
string(APPEND text "\nconst ${TYPE} ${ARRAY}[] = {\n${rows}\t{0, 0},\n};\n")
file(WRITE "${OUT}" "${text}")
