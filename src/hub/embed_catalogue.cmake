# cmake -DINPUT=catalogue.json -DOUTPUT=catalogue_data.cc -P embed_catalogue.cmake
# Writes the JSON as bytes, so that no text in it can end a string literal.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
file(WRITE ${OUTPUT}
  "// Generated from src/hub/catalogue.json.\n"
  "#include \"hub/catalogue_data.h\"\n"
  "namespace yunqi {\n"
  "namespace {\n"
  "constexpr char kBytes[] = {${bytes}};\n"
  "}  // namespace\n"
  "std::string_view builtin_catalogue() { return {kBytes, sizeof kBytes}; }\n"
  "}  // namespace yunqi\n")
