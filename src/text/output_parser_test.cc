// The output machine: formats, fall-backs and ends by example, then random outputs with known
// results and adversarial ones, each cut at every place.
#include "text/output_parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "base/utf8.h"
#include "text/tokenizer_fixture.h"

namespace yunqi {
namespace {

struct Call {
  std::string name, arguments;
  bool operator==(const Call&) const = default;
};

struct Parsed {
  std::string reasoning, content, stop;
  std::vector<Call> calls;
  int32_t complete = 0;
  bool operator==(const Parsed&) const = default;
};

void PrintTo(const Parsed& parsed, std::ostream* out) {
  *out << "reasoning [" << parsed.reasoning << "] content [" << parsed.content << "] stop ["
       << parsed.stop << "] complete " << parsed.complete;
  for (const Call& call : parsed.calls) *out << "\n  " << call.name << " " << call.arguments;
}

void add(Parsed& all, const OutputDelta& delta) {
  all.reasoning += delta.reasoning;
  all.content += delta.content;
  EXPECT_TRUE(is_valid_utf8(delta.content) && is_valid_utf8(delta.reasoning));
  for (const ToolCallDelta& call : delta.calls) {
    EXPECT_TRUE(is_valid_utf8(call.arguments) && is_valid_utf8(call.name));
    if (static_cast<size_t>(call.index) == all.calls.size()) {
      EXPECT_NE(call.name, "");
      all.calls.push_back({call.name, {}});
    } else {
      EXPECT_EQ(call.name, "");
    }
    ASSERT_EQ(static_cast<size_t>(call.index) + 1, all.calls.size());
    all.calls.back().arguments += call.arguments;
  }
}

// Parses `text` cut at `cuts` (ascending offsets).
Parsed parse(const std::string& text, const OutputFormat& format,
             const std::vector<size_t>& cuts = {}) {
  OutputParser parser(format);
  Parsed out;
  size_t at = 0;
  for (const size_t cut : cuts) {
    add(out, parser.push(std::string_view(text).substr(at, cut - at)));
    at = cut;
  }
  add(out, parser.push(std::string_view(text).substr(at)));
  add(out, parser.finish());
  out.stop = parser.stop_string();
  out.complete = parser.complete_calls();
  return out;
}

std::vector<size_t> every_byte(const std::string& text) {
  std::vector<size_t> cuts;
  for (size_t i = 1; i < text.size(); ++i) cuts.push_back(i);
  return cuts;
}

constexpr const char* kTools = R"([
  {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"},
                   "exact": {"type": "boolean"}, "tags": {"type": "array"},
                   "where": {"type": "object"}, "limit": {"type": ["number", "null"]},
                   "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}}},
  {"type": "function", "function": {"name": "now"}}])";

OutputFormat with_tools(ToolFormat format = ToolFormat::kJson, bool thinking = false) {
  static const auto tools =
      std::make_shared<const ToolSet>(ToolSet::from(parse_json(kTools).value()));
  OutputFormat out;
  out.thinking = thinking;
  out.tools = tools;
  out.tool_format = format;
  return out;
}

// The same result whole, byte by byte, and cut once at every place.
Parsed parse_every_way(const std::string& text, const OutputFormat& format) {
  const Parsed whole = parse(text, format);
  EXPECT_EQ(parse(text, format, every_byte(text)), whole) << text;
  for (size_t cut = 1; cut < text.size(); ++cut) {
    EXPECT_EQ(parse(text, format, {cut}), whole) << text << "\ncut at " << cut;
  }
  return whole;
}

std::string json_call(const std::string& name, const std::string& arguments) {
  return "<tool_call>\n{\"name\": \"" + name + "\", \"arguments\": " + arguments +
         "}\n</tool_call>";
}

TEST(OutputParser, JsonCallsBecomeCalls) {
  const Parsed one = parse_every_way(
      "Let me look.\n\n" + json_call("get_weather", R"({"city": "Paris", "days": 3})") + "\n" +
          json_call("now", "{}"),
      with_tools());
  EXPECT_EQ(one.content, "Let me look.");
  ASSERT_EQ(one.calls.size(), 2u);
  EXPECT_EQ(one.calls[0], (Call{"get_weather", R"({"city": "Paris", "days": 3})"}));
  EXPECT_EQ(one.calls[1], (Call{"now", "{}"}));
  EXPECT_EQ(one.complete, 2);
}

TEST(OutputParser, ArgumentsStreamAsTheyCome) {
  OutputParser parser(with_tools());
  EXPECT_TRUE(parser.push("<tool_call>\n{\"name\": \"now\", \"argu").calls.empty());
  const OutputDelta begun = parser.push("ments\": {\"a\": \"x");
  ASSERT_EQ(begun.calls.size(), 1u);
  EXPECT_EQ(begun.calls[0].name, "now");
  EXPECT_EQ(begun.calls[0].arguments, "{\"a\": \"x");
  EXPECT_EQ(parser.push("y").calls.at(0).arguments, "y");
  EXPECT_EQ(parser.push("\"}").calls.at(0).arguments, "\"}");
  EXPECT_EQ(parser.complete_calls(), 1);
}

TEST(OutputParser, JsonCallsInOtherShapes) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"(<tool_call>{"arguments": {"a": 1}, "name": "now"}</tool_call>)", R"({"a":1})"},
      {R"(<tool_call>{"name": "now", "parameters": {"a": 1}}</tool_call>)", R"({"a":1})"},
      {R"(<tool_call>{"name": "now", "arguments": "{\"a\": 1}"}</tool_call>)", R"({"a":1})"},
      {R"(<tool_call>{"name": "now"}</tool_call>)", "{}"},
      {R"(<tool_call>{"name": "now", "arguments": null})", "{}"},
      {R"(<tool_call>{"name": "now", "arguments": {"a": 1}, "id": "x"}</tool_call>)",
       R"({"a": 1})"},
      {R"(<tool_call>{"name": "now", "arguments": {"a": 1}</tool_call>)", R"({"a": 1})"},
      {R"(<tool_call>{"name": "now", "arguments": {"a": 1}}})", R"({"a": 1})"},
      {R"(<tool_call><tool_call>{"name":"now","arguments":{"a":1}}</tool_call></tool_call>)",
       R"({"a":1})"},
      {"<tool_call>{'name': 'now', 'arguments': {'a': True}}</tool_call>", R"({"a":true})"},
  };
  for (const auto& [text, arguments] : cases) {
    const Parsed parsed = parse_every_way(text, with_tools());
    ASSERT_EQ(parsed.calls.size(), 1u) << text;
    EXPECT_EQ(parsed.calls[0], (Call{"now", arguments})) << text;
    EXPECT_EQ(parsed.content, "") << text;
    EXPECT_EQ(parsed.complete, 1);
  }
}

TEST(OutputParser, ArgumentsAreMendedAsTheyStream) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{\"a\": \"x\ny\tz\"}", R"({"a": "x\ny\tz"})"},
      {R"({"a": "\d+\.\'q\'"})", R"({"a": "\\d+\\.'q'"})"},
      {R"({"a": "\u00e9\u12"})", R"({"a": "\u00e9\\u12"})"},
      {"{'a': 'say \"hi\"', 'b': None}", R"({"a": "say \"hi\"", "b": null})"},
      {R"({"a": [1, 2, ], "b": True, })", R"({"a": [1, 2], "b": true})"},
      {R"({"a": NaN, "b": -0.5e3})", R"({"a": null, "b": -0.5e3})"},
      {R"({"a": "</tool_call>"})", R"({"a": "</tool_call>"})"},
  };
  for (const auto& [raw, mended] : cases) {
    const Parsed parsed = parse_every_way(json_call("now", raw), with_tools());
    ASSERT_EQ(parsed.calls.size(), 1u) << raw;
    EXPECT_EQ(parsed.calls[0].arguments, mended);
    EXPECT_EQ(parsed.content, "");
    EXPECT_EQ(parsed.complete, 1);
  }
}

TEST(OutputParser, ANameThatIsNoUtf8IsGivenOutAsUtf8) {
  const Parsed parsed = parse_every_way(json_call("n\xE4w", "{}"), with_tools());
  ASSERT_EQ(parsed.calls.size(), 1u);
  EXPECT_EQ(parsed.calls[0].name, "n\uFFFDw");
}

TEST(OutputParser, MalformedCallsAreText) {
  for (const std::string& text : std::vector<std::string>{
           "<tool_call>", "<tool_call>\n", "<tool_call>\nhello\n</tool_call>",
           "<tool_call>{\"name\": 5, \"arguments\": {}}</tool_call>",
           "<tool_call>{\"name\": \"now\", \"arguments\": [1]}</tool_call>",
           "<tool_call>{\"arguments\": {}}</tool_call>", "<tool_call>{\"name\": \"no",
           "<tool_call>{\"name\": \"a b\", \"arguments\": {}}</tool_call>", "a <tool_cal",
           "<tool_call></tool_call>", "<tool_call>{broken}</tool_call> and on", "<tool_call><func",
           "</tool_call>", "<function=a b>"}) {
    const Parsed parsed = parse_every_way(text, with_tools(ToolFormat::kXml));
    EXPECT_EQ(parsed.content, text);
    EXPECT_TRUE(parsed.calls.empty()) << text;
  }
}

TEST(OutputParser, ACallThatBreaksStaysIncompleteAndTheRestIsText) {
  const Parsed parsed =
      parse_every_way(json_call("now", R"({"a": 1, oops})") + json_call("now", "{}"), with_tools());
  ASSERT_EQ(parsed.calls.size(), 2u);
  EXPECT_EQ(parsed.calls[0], (Call{"now", R"({"a": 1)"}));
  EXPECT_EQ(parsed.content, ", oops}}\n");
  EXPECT_EQ(parsed.complete, 1);
  const Parsed open = parse_every_way(json_call("now", R"({"a": "x)") + "\nDone.", with_tools());
  EXPECT_EQ(open.calls.at(0).arguments, R"({"a": "x})");
  EXPECT_EQ(open.complete, 0);
  EXPECT_EQ(open.content, "\nDone.");
}

TEST(OutputParser, AnOutputCutInsideACallKeepsWhatWasThere) {
  const std::string text = json_call("now", R"({"a": "b", "n": 12})");
  const size_t begun = text.find("{\"a\"");
  for (size_t end = 1; end < text.size(); ++end) {
    const Parsed parsed = parse(text.substr(0, end), with_tools());
    if (end <= begun) {
      EXPECT_EQ(parsed.content, text.substr(0, end));
    } else {
      ASSERT_EQ(parsed.calls.size(), 1u);
      EXPECT_EQ(parsed.content == "" || end > text.find("</"), true) << parsed.content;
    }
  }
}

std::string xml_call(const std::string& body) {
  return "<tool_call>\n<function=get_weather>\n" + body + "</function>\n</tool_call>";
}

TEST(OutputParser, XmlCallsTakeTheirTypesFromTheSchema) {
  const Parsed parsed = parse_every_way(
      "Hm.\n" + xml_call("<parameter=city>\nNew\n\"York\"\n</parameter>\n<parameter=days>\n3\n"
                         "</parameter>\n<parameter=exact>\nTrue\n</parameter>\n<parameter=tags>\n"
                         "['a', 1]\n</parameter>\n<parameter=where>\n{\"x\": 1}\n</parameter>\n"
                         "<parameter=limit>\nNone\n</parameter>\n<parameter=note>\nnull\n"
                         "</parameter>\n<parameter=other>\n7\n</parameter>\n"),
      with_tools(ToolFormat::kXml));
  ASSERT_EQ(parsed.calls.size(), 1u);
  EXPECT_EQ(parsed.calls[0].arguments,
            R"({"city": "New\n\"York\"", "days": 3, "exact": true, "tags": ["a",1], )"
            R"("where": {"x":1}, "limit": null, "note": null, "other": "7"})");
  EXPECT_EQ(parsed.content, "Hm.");
  EXPECT_EQ(parsed.complete, 1);
}

TEST(OutputParser, XmlValuesThatDoNotFitStayStrings) {
  const Parsed parsed =
      parse_every_way(xml_call("<parameter=days>three</parameter><parameter=tags>{}</parameter>"),
                      with_tools(ToolFormat::kXml));
  EXPECT_EQ(parsed.calls.at(0).arguments, R"({"days": "three", "tags": "{}"})");
}

TEST(OutputParser, XmlIsReadWhenTagsWereForgotten) {
  const std::vector<std::string> cases = {
      "<function=get_weather>\n<parameter=city>\nA\n</parameter>\n</function>",
      "<tool_call><function=get_weather><parameter=city>A</parameter></tool_call>",
      "<tool_call>\n<function=get_weather>\n<parameter=city>\nA\n</function>\n</tool_call>",
      "<tool_call>\n<function=get_weather>\n<parameter=city>\nA\n</function>",
  };
  for (const std::string& text : cases) {
    const Parsed parsed = parse_every_way(text, with_tools(ToolFormat::kXml));
    ASSERT_EQ(parsed.calls.size(), 1u) << text;
    EXPECT_EQ(parsed.calls[0].arguments, R"({"city": "A"})") << text;
    EXPECT_EQ(parsed.complete, 1) << text;
    EXPECT_EQ(parsed.content, "") << text;
  }
  const Parsed next =
      parse_every_way(xml_call("<parameter=city>\nA\n<parameter=days>\n2\n</parameter>\n"),
                      with_tools(ToolFormat::kXml));
  EXPECT_EQ(next.calls.at(0).arguments, R"({"city": "A", "days": 2})");
}

TEST(OutputParser, XmlValuesMayHoldTags) {
  const Parsed parsed =
      parse_every_way(xml_call("<parameter=city>\n<function=f>\n</function>\n<b></parameter>\n"),
                      with_tools(ToolFormat::kXml));
  EXPECT_EQ(parsed.calls.at(0).arguments, R"({"city": "<function=f>\n</function>\n<b>"})");
}

TEST(OutputParser, AXmlParameterGivenTwiceKeepsTheFirst) {
  const Parsed parsed =
      parse_every_way(xml_call("<parameter=days>1</parameter><parameter=days>2</parameter>"),
                      with_tools(ToolFormat::kXml));
  EXPECT_EQ(parsed.calls.at(0).arguments, R"({"days": 1})");
}

TEST(OutputParser, WithoutToolsCallsAreText) {
  const std::string text = json_call("now", "{}");
  EXPECT_EQ(parse_every_way(text, {}).content, text);
}

TEST(OutputParser, ThinkingIsToldByItsTags) {
  const OutputFormat format = with_tools(ToolFormat::kJson, true);
  const Parsed parsed =
      parse_every_way("<think>\na < b </thin\n\n</think>\n\n" + json_call("now", "{}"), format);
  EXPECT_EQ(parsed.reasoning, "a < b </thin");
  EXPECT_EQ(parsed.content, "");
  EXPECT_EQ(parsed.complete, 1);
  EXPECT_EQ(parse_every_way("</think>\n\nHi", format).content, "Hi");
  EXPECT_EQ(parse_every_way("<think>a</think></think>\n\nHi", format).content, "Hi");
  EXPECT_EQ(parse_every_way("a<think>b", format).content, "a<think>b");
  EXPECT_EQ(parse_every_way("  x", format).content, "  x");
}

TEST(OutputParser, ACallInAThoughtCountsOnlyWhenTheOutputEndsThere) {
  const OutputFormat format = with_tools(ToolFormat::kJson, true);
  const std::string call = json_call("now", "{}");
  const Parsed ended = parse_every_way("<think>I call it.\n" + call + "\n" + call, format);
  EXPECT_EQ(ended.complete, 2);
  EXPECT_EQ(ended.reasoning, "I call it.\n");
  for (const std::string after : {"</think>\nNo.", " or not</think>\nNo."}) {
    const Parsed mused = parse_every_way("<think>Maybe " + call + after, format);
    EXPECT_EQ(mused.complete, 0);
    EXPECT_TRUE(mused.reasoning.starts_with("Maybe " + call)) << mused.reasoning;
    EXPECT_EQ(mused.content, "No.");
  }
  for (const std::string text :
       {"the <tool_call> tag", "<tool_call><<a", "<tool_call><fun<tool_"}) {
    EXPECT_EQ(parse_every_way("<think>" + text + "</think>x", format).reasoning, text);
  }
}

TEST(OutputParser, StopsCutTheAnswerNotTheThought) {
  OutputFormat format = with_tools(ToolFormat::kJson, true);
  format.stop = {"END", "\n\n"};
  const Parsed parsed = parse_every_way("<think>a\n\nEND</think>\n\nOne\nEND two", format);
  EXPECT_EQ(parsed.reasoning, "a\n\nEND");
  EXPECT_EQ(parsed.content, "One\n");
  EXPECT_EQ(parsed.stop, "END");
  format.include_stop = true;
  EXPECT_EQ(parse_every_way("One END two", format).content, "One END");
}

TEST(OutputParser, FormatsAreFoundInTemplates) {
  EXPECT_EQ(detect_tool_format("{{ '<tool_call>\\n{\"name\": ' }}"), ToolFormat::kJson);
  EXPECT_EQ(detect_tool_format("{{ '<tool_call>\\n<function=' + n }}"), ToolFormat::kXml);
  EXPECT_EQ(detect_tool_format("{{ messages }}"), ToolFormat::kNone);
}

TEST(OutputParser, DepthAndLengthOfArgumentsAreBounded) {
  const auto nested = [](size_t depth) {
    return "{\"a\": " + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  const auto complete = [&](const std::string& arguments) {
    return parse(json_call("now", arguments), with_tools()).complete;
  };
  EXPECT_EQ(complete(nested(JsonMender::kMaxDepth)), 1);
  EXPECT_EQ(complete(nested(JsonMender::kMaxDepth + 1)), 0);
  EXPECT_EQ(complete("{\"a\": " + std::string(JsonMender::kMaxScalarBytes, '1') + "}"), 1);
  EXPECT_EQ(complete("{\"a\": " + std::string(JsonMender::kMaxScalarBytes + 1, '1') + "}"), 0);
  EXPECT_TRUE(is_tool_name(std::string(kMaxToolNameBytes, 'a')));
  EXPECT_FALSE(is_tool_name(std::string(kMaxToolNameBytes + 1, 'a')));
}

TEST(OutputParser, LongAdversarialOutputsTakeLinearTime) {
  constexpr size_t kBytes = 1 << 18;
  for (const std::string part :
       {"<", "<tool_call>", "<tool_call> ", "<tool_call>{", "\n", " ", "</think>", "<think>",
        "<tool_call><function=get_weather><parameter=city>\n</function>  ", "</parameter",
        "<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": \"\n</tool_call",
        "<tool_call>{\"name\": \"now\", \"arguments\": {}, "}) {
    std::string text = "<think><tool_call>{";
    for (int round = 0; round < 2; ++round) {
      while (text.size() < kBytes) text += part;
      OutputFormat format = with_tools(ToolFormat::kXml, true);
      format.stop = {"never to be found"};
      EXPECT_EQ(parse(text, format, every_byte(text)), parse(text, format));
      text = "";
    }
  }
}

// Random outputs. Their number grows with YUNQI_FUZZ_CASES.
int fuzz_cases(int usual) {
  const char* wanted = std::getenv("YUNQI_FUZZ_CASES");
  return wanted == nullptr ? usual : std::atoi(wanted);
}

std::string random_words(Random& random) {
  static const std::vector<std::string> kWords = {
      "a", "<",  " ",  "\n",  "中",    "<tool",     "</",         "tool_call>", "{",
      "}", "\"", "\\", "<b>", "x = 1", "<tool_cal", "</tool_cal", "<func",      "é"};
  std::string out;
  const size_t count = below(random, 7);
  for (size_t i = 0; i < count; ++i) out += kWords[below(random, kWords.size())];
  // Two words must not make an opening tag.
  return out.find("<tool_call>") == std::string::npos && out.find("<function=") == std::string::npos
             ? out
             : "word";
}

Json random_json(Random& random, int depth) {
  switch (below(random, depth > 0 ? 7 : 5)) {
    case 0:
      return Json(static_cast<int64_t>(below(random, 2000)) - 1000);
    case 1:
      return Json(below(random, 2) == 0);
    case 2:
      return Json();
    case 3:
      return Json(0.5 * static_cast<double>(below(random, 99)));
    case 5: {
      Json list = Json::array();
      for (size_t i = below(random, 3); i > 0; --i) list.push_back(random_json(random, depth - 1));
      return list;
    }
    case 6: {
      Json object = Json::object();
      for (size_t i = below(random, 3); i > 0; --i) {
        object.set("k" + std::to_string(i), random_json(random, depth - 1));
      }
      return object;
    }
    default:
      return Json(random_words(random) + (below(random, 4) == 0 ? "</tool_call>" : ""));
  }
}

struct Segment {
  std::string text;
  bool is_call = false;
  std::string name;
  Json arguments;
};

Segment random_json_call(Random& random) {
  Segment out;
  out.is_call = true;
  out.name = below(random, 2) == 0 ? "now" : "get_weather";
  out.arguments = Json::object();
  for (size_t i = below(random, 4); i > 0; --i) {
    out.arguments.set("p" + std::to_string(i), random_json(random, 2));
  }
  const std::string arguments =
      below(random, 2) == 0 ? out.arguments.dump() : out.arguments.dump_pretty();
  const std::string sep = below(random, 2) == 0 ? " " : "\n";
  const bool swapped = below(random, 5) == 0 && arguments.find("</tool_call>") == std::string::npos;
  const std::string name = "\"name\":" + sep + "\"" + out.name + "\"";
  const std::string body = "\"arguments\":" + sep + arguments;
  out.text = "<tool_call>" + sep + "{" + (swapped ? body + "," + sep + name : name + "," + body);
  out.text += "}" + sep + "</tool_call>";
  return out;
}

Segment random_xml_call(Random& random) {
  Segment out;
  out.is_call = true;
  out.name = "get_weather";
  out.arguments = Json::object();
  out.text = "<tool_call>\n<function=get_weather>\n";
  const auto add_parameter = [&](const std::string& name, const std::string& text, Json value) {
    if (below(random, 3) == 0) return;
    out.text += "<parameter=" + name + ">\n" + text + "\n</parameter>\n";
    out.arguments.set(name, std::move(value));
  };
  const std::string words = random_words(random);
  add_parameter("city", words, Json(words));
  const auto days = static_cast<int64_t>(below(random, 100));
  add_parameter("days", std::to_string(days), Json(days));
  add_parameter("exact", "True", Json(true));
  const Json list = Json::array({random_json(random, 1)});
  add_parameter("tags", list.dump(), list);
  out.text += "</function>\n</tool_call>";
  return out;
}

Segment random_segment(Random& random, ToolFormat format) {
  static const std::vector<std::string> kMalformed = {
      "<tool_call>no", "<tool_call>{\"name\": 5}</tool_call>", "<tool_call></tool_call>",
      "<tool_call>{]</tool_call>",
      "<tool_call>\n{\"name\": \"now\", \"arguments\": 3}</tool_call>"};
  switch (below(random, 5)) {
    case 0:
      return {kMalformed[below(random, kMalformed.size())], false, {}, {}};
    case 1:
    case 2:
      return format == ToolFormat::kXml ? random_xml_call(random) : random_json_call(random);
    default:
      return {random_words(random), false, {}, {}};
  }
}

std::string without_trailing_space(const std::string& text) {
  return text.substr(0, text.find_last_not_of(" \n\t\r") + 1);
}

// What the segments mean: calls, and the text between them without the white space before a call.
Parsed meaning(const std::vector<Segment>& segments) {
  Parsed out;
  std::string text;
  bool follows_call = false;
  const auto end_text = [&](bool before_call) {
    const bool blank = without_trailing_space(text).empty();
    if (before_call) text = without_trailing_space(text);
    if (blank && follows_call) text.clear();
    out.content += text;
    text.clear();
  };
  for (const Segment& segment : segments) {
    if (!segment.is_call) {
      text += segment.text;
      continue;
    }
    end_text(true);
    follows_call = true;
    out.calls.push_back({segment.name, segment.arguments.dump()});
    ++out.complete;
  }
  end_text(false);
  return out;
}

std::vector<size_t> random_cuts(Random& random, size_t size) {
  std::vector<size_t> cuts;
  for (size_t at = 1 + below(random, 9); at < size; at += 1 + below(random, 9)) cuts.push_back(at);
  return cuts;
}

// Once at every place, byte by byte, and at random places.
void expect_cuts_do_not_matter(Random& random, const std::string& text, const OutputFormat& format,
                               const Parsed& whole) {
  ASSERT_EQ(parse(text, format, every_byte(text)), whole) << text;
  ASSERT_EQ(parse(text, format, random_cuts(random, text.size())), whole) << text;
  for (size_t cut = 1; cut < text.size(); ++cut) {
    ASSERT_EQ(parse(text, format, {cut}), whole) << text << "\ncut at " << cut;
  }
}

TEST(OutputParserFuzz, RandomOutputsMeanWhatTheyWereMadeOf) {
  Random random(11);
  int calls = 0;
  for (int round = 0; round < fuzz_cases(1000); ++round) {
    const ToolFormat format = below(random, 2) == 0 ? ToolFormat::kJson : ToolFormat::kXml;
    std::vector<Segment> segments(1 + below(random, 4));
    std::string text;
    for (Segment& segment : segments) {
      segment = random_segment(random, format);
      // Pieces must not make a tag together, nor a stray closing tag that a call would swallow.
      if (!segment.is_call && !text.empty()) segment.text = ". " + segment.text;
      text += segment.text;
    }
    const Parsed whole = parse(text, with_tools(format));
    Parsed want = meaning(segments);
    ASSERT_EQ(whole.content, want.content) << text;
    ASSERT_EQ(whole.calls.size(), want.calls.size()) << text;
    ASSERT_EQ(whole.complete, want.complete) << text;
    for (size_t i = 0; i < whole.calls.size(); ++i) {
      ASSERT_EQ(whole.calls[i].name, want.calls[i].name);
      ASSERT_EQ(parse_json(whole.calls[i].arguments).value().dump(), want.calls[i].arguments);
    }
    calls += whole.complete;
    expect_cuts_do_not_matter(random, text, with_tools(format), whole);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(calls, fuzz_cases(1000) / 2);
}

// A model may name a member twice; anything else of the arguments is JSON as far as it goes.
void expect_valid_so_far(const std::string& arguments) {
  JsonMender mender;
  std::string again;
  for (const char byte : arguments) {
    ASSERT_NE(mender.push(byte, again), JsonMender::State::kBroken) << arguments;
  }
  again += mender.held();
  if (!mender.in_string()) {
    ASSERT_EQ(again, arguments);
  }
}

TEST(OutputParserFuzz, AdversarialOutputsAreTheSameAtEverySplit) {
  static const std::vector<std::string> kPieces = {"<tool_call>",
                                                   "</tool_call>",
                                                   "<function=get_weather>",
                                                   "<function=now>",
                                                   "</function>",
                                                   "<parameter=city>",
                                                   "<parameter=days>",
                                                   "</parameter>",
                                                   "<think>",
                                                   "</think>",
                                                   "{",
                                                   "}",
                                                   "{\"name\": \"now\", \"arguments\": {",
                                                   "\"name\": \"now\"",
                                                   "\"arguments\": {",
                                                   "\"",
                                                   ",",
                                                   "[",
                                                   "]",
                                                   ":",
                                                   "\"a\": ",
                                                   "\\",
                                                   "\\u",
                                                   "12",
                                                   "-",
                                                   "True",
                                                   "nul",
                                                   "\n",
                                                   " ",
                                                   "'",
                                                   "<",
                                                   "</",
                                                   "<tool",
                                                   "_call>",
                                                   "x",
                                                   "中",
                                                   "\xE4",
                                                   "\xB8",
                                                   "\xFF",
                                                   "END",
                                                   "\n</function>\n</tool_call>",
                                                   "\n<parameter=exact>",
                                                   "\x01"};
  Random random(12);
  int begun = 0, incomplete = 0;
  for (int round = 0; round < fuzz_cases(1000); ++round) {
    std::string text;
    for (size_t i = below(random, 24); i > 0; --i) text += kPieces[below(random, kPieces.size())];
    OutputFormat format = with_tools(below(random, 2) == 0 ? ToolFormat::kJson : ToolFormat::kXml,
                                     below(random, 3) != 0);
    format.starts_thinking = format.thinking && below(random, 3) == 0;
    if (below(random, 3) == 0) format.stop = {"END", "x\n"};
    const Parsed whole = parse(text, format);
    begun += static_cast<int>(whole.calls.size());
    int complete = 0;
    for (const Call& call : whole.calls) {
      const Result<Json> arguments = parse_json(call.arguments);
      complete += arguments.is_ok() ? 1 : 0;
      expect_valid_so_far(call.arguments);
      if (HasFatalFailure()) FAIL() << text;
    }
    incomplete += static_cast<int>(whole.calls.size()) - complete;
    expect_cuts_do_not_matter(random, text, format, whole);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(begun, fuzz_cases(1000) / 20);
  EXPECT_GT(incomplete, 0);
}

}  // namespace
}  // namespace yunqi
