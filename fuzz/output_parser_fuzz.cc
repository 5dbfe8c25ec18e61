// Feeds any bytes to the output parser as a model's answer, under a format that the first byte
// picks. Cut byte by byte or in two it must give what it gives whole, in valid UTF-8.
#include <cstdint>
#include <memory>

#include "base/check.h"
#include "base/utf8.h"
#include "text/output_parser.h"

namespace yunqi {
namespace {

struct Parsed {
  std::string reasoning, content, calls;
  int32_t complete = 0;
  bool operator==(const Parsed&) const = default;
};

void add(Parsed& all, const OutputDelta& delta) {
  all.reasoning += delta.reasoning;
  all.content += delta.content;
  for (const ToolCallDelta& call : delta.calls) {
    if (!call.name.empty()) all.calls += "\n" + call.name + " ";
    all.calls += call.arguments;
  }
}

Parsed parse(const OutputFormat& format, std::string_view text, size_t step) {
  OutputParser parser(format);
  Parsed out;
  for (size_t at = 0; at < text.size(); at += step) add(out, parser.push(text.substr(at, step)));
  add(out, parser.finish());
  out.complete = parser.complete_calls();
  return out;
}

OutputFormat format_of(uint8_t bits) {
  static const auto tools = std::make_shared<const ToolSet>(
      ToolSet::from(parse_json(R"([{"function": {"name": "f", "parameters": {"properties": {
                     "a": {"type": "string"}, "b": {"type": "integer"},
                     "c": {"type": ["object", "null"]}}}}}])")
                        .value()));
  OutputFormat format;
  format.thinking = (bits & 1) != 0;
  format.starts_thinking = (bits & 2) != 0;
  if ((bits & 4) == 0) format.tools = tools;
  format.tool_format = (bits & 8) != 0 ? ToolFormat::kXml : ToolFormat::kJson;
  if ((bits & 16) != 0) format.stop = {"END", "\n\n"};
  format.include_stop = (bits & 32) != 0;
  return format;
}

}  // namespace
}  // namespace yunqi

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const yunqi::OutputFormat format = yunqi::format_of(data[0]);
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const yunqi::Parsed whole = yunqi::parse(format, text, size);
  YQ_CHECK(whole == yunqi::parse(format, text, 1), "byte by byte is another output");
  YQ_CHECK(whole == yunqi::parse(format, text, size / 2 + 1), "cut in two is another output");
  const bool valid = yunqi::is_valid_utf8(whole.reasoning) && yunqi::is_valid_utf8(whole.content) &&
                     yunqi::is_valid_utf8(whole.calls);
  YQ_CHECK(valid, "gave out invalid UTF-8");
  return 0;
}
