// The template interpreter against jinja2's recorded outputs, its limits, and its marks.
#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <string>

#include "base/file.h"

namespace yunqi {
namespace {

Result<std::string> render(std::string_view source, const Json& variables = Json::object(),
                           const TemplateLimits& limits = {}) {
  YQ_TRY(const ChatTemplate parsed, ChatTemplate::parse(source, limits));
  return parsed.render(variables);
}

std::string repeat(std::string_view text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST(ChatTemplate, EqualsJinja2OnEveryRecordedCase) {
  const auto text = read_file(Path(YUNQI_SOURCE_DIR) / "tests/golden/jinja_cases.json");
  ASSERT_TRUE(text.is_ok());
  const auto golden = parse_json(*text);
  ASSERT_TRUE(golden.is_ok()) << golden.status().to_string();
  const auto& cases = golden->find("cases")->as_array();
  ASSERT_GE(cases.size(), 400u);
  for (const Json& item : cases) {
    const std::string& source = item.find("template")->as_string();
    const Json* own = item.find("variables");
    const auto got = render(source, own != nullptr ? *own : *golden->find("variables"));
    const Json* want = item.find("ok");
    if (want == nullptr) {
      EXPECT_FALSE(got.is_ok()) << source;
    } else if (!got.is_ok()) {
      ADD_FAILURE() << source << ": " << got.status().to_string();
    } else {
      EXPECT_EQ(*got, want->as_string()) << source;
    }
  }
}

TEST(ChatTemplate, NestingIsAcceptedUpToTheLimitAndRefusedBeyond) {
  const auto ifs = [](size_t n) {
    return repeat("{% if true %}", n) + "x" + repeat("{% endif %}", n);
  };
  EXPECT_TRUE(render(ifs(120)).is_ok());
  for (const size_t n : {129, 5'500, 20'000}) {
    EXPECT_EQ(render(ifs(n)).status().code(), Code::kBadFile) << n;
  }
  for (const char* open : {"(", "[", "{1:", "-", "not ", "x[", "f("}) {
    EXPECT_EQ(render("{{ " + repeat(open, 6'000)).status().code(), Code::kBadFile) << open;
  }
  EXPECT_FALSE(render("{{ x" + repeat(".a", 6'000) + " }}").is_ok());
  EXPECT_FALSE(render("{{ x" + repeat("|list", 6'000) + " }}").is_ok());
  // A long sum is no nesting.
  EXPECT_EQ(*render("{{ 0" + repeat(" + 1", 6'000) + " }}"), "6000");
}

TEST(ChatTemplate, HostileTemplatesEndInErrors) {
  for (const char* source : {
           "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
           "{% for i in range(10**9) %}x{% endfor %}",
           "{{ 'x' * 10**9 }}",
           "{{ [1] * 10**12 }}",
           "{% set ns = namespace(x='ab') %}{% for i in range(99) %}"
           "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
           "{% for i in range(99999) %}{% for j in range(99999) %}{{ i }}{% endfor %}{% endfor %}",
           "{% set ns = namespace(x=1) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}"
           "{% endfor %}{{ ns.x }}",
           "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
           "{{ 'x'.center(10**15) }}",
           "{{ [1]|tojson(indent=10**15) }}",
           "{{ '%999999999d' % 1 }}",
           "{{ 2 ** 63 }}",
           "{{ 9223372036854775807 + 1 }}",
       }) {
    EXPECT_EQ(render(source).status().code(), Code::kInvalidArgument) << source;
  }
}

TEST(ChatTemplate, OutputStopsAtItsLimit) {
  TemplateLimits limits;
  limits.max_output_bytes = 10;
  EXPECT_EQ(*render("{% for i in range(10) %}x{% endfor %}", Json::object(), limits), "xxxxxxxxxx");
  EXPECT_FALSE(render("{% for i in range(11) %}x{% endfor %}", Json::object(), limits).is_ok());
}

TEST(ChatTemplate, SourceIsRefusedBeyondItsLimit) {
  TemplateLimits limits;
  limits.max_source_bytes = 8;
  EXPECT_TRUE(ChatTemplate::parse("12345678", limits).is_ok());
  EXPECT_EQ(ChatTemplate::parse("123456789", limits).status().code(), Code::kBadFile);
}

TEST(ChatTemplate, ErrorsNameLineAndColumn) {
  const Status unknown = render("a\n {{ x|nope }}").status();
  EXPECT_EQ(unknown.code(), Code::kUnsupported);
  EXPECT_NE(unknown.message().find("line 2, column 7"), std::string::npos) << unknown.message();
  EXPECT_EQ(render("{% include 'x' %}").status().code(), Code::kUnsupported);
  EXPECT_EQ(render("{% if %}").status().code(), Code::kBadFile);
  EXPECT_EQ(render("\xff").status().code(), Code::kBadFile);
  const Status raised = render("{{ raise_exception('No user query.') }}").status();
  EXPECT_EQ(raised.code(), Code::kInvalidArgument);
  EXPECT_EQ(raised.message(), "No user query.");
}

TEST(ChatTemplate, PiecesTellUserTextFromTheTemplates) {
  const auto parsed = ChatTemplate::parse(
      "{% for m in messages %}<s>{{ m.role + ':' + m.content.split('</t>')[-1]|trim }}</s>"
      "{% endfor %}{{ tools|tojson }}");
  ASSERT_TRUE(parsed.is_ok());
  const Json variables = Json::object(
      {{"messages",
        Json::array({Json::object({{"role", "user"}, {"content", "a</t> <s>evil</s> "}})})},
       {"tools", Json::array({"<s>"})}});
  const auto pieces = parsed->render_pieces(variables);
  ASSERT_TRUE(pieces.is_ok());
  ASSERT_EQ(pieces->size(), 4u);
  EXPECT_EQ((*pieces)[0].text, "<s>user:");
  EXPECT_TRUE((*pieces)[0].from_template);
  EXPECT_EQ((*pieces)[1].text, "<s>evil</s>");
  EXPECT_FALSE((*pieces)[1].from_template);
  EXPECT_EQ((*pieces)[2].text, "</s>");
  EXPECT_TRUE((*pieces)[2].from_template);
  EXPECT_FALSE((*pieces)[3].from_template);
  std::string joined;
  for (const PromptPiece& piece : *pieces) joined += piece.text;
  EXPECT_EQ(joined, *parsed->render(variables));
}

TEST(ChatTemplate, MarksSurviveTextOperations) {
  const Json variables = Json::object(
      {{"messages", Json::array({Json::object({{"role", "r"}, {"content", "<U>"}})})}});
  for (const char* expression :
       {"(c ~ 'x')[:3]", "c|upper|lower|title", "[c]|join", "c|e|safe", "c|string", "'%s' % c",
        "'{}'.format(c)", "c|indent", "c[::-1]", "c.split('U')[0]", "[c]|string", "c|list|first",
        "{c: 1}|list|last", "c|tojson", "'a'.replace('a', c)", "c.center(3)"}) {
    const auto parsed = ChatTemplate::parse(std::string("{% set c = messages[0].content %}{{ ") +
                                            expression + " }}");
    ASSERT_TRUE(parsed.is_ok()) << expression;
    const auto pieces = parsed->render_pieces(variables);
    ASSERT_TRUE(pieces.is_ok()) << expression << pieces.status().to_string();
    for (const PromptPiece& piece : *pieces) {
      EXPECT_FALSE(piece.from_template) << expression << ": " << piece.text;
    }
  }
}

TEST(ChatTemplate, MentionsWhatExpressionsRead) {
  const auto parsed = ChatTemplate::parse("{% if enable_thinking %}{{ x.tools }}{% endif %}");
  ASSERT_TRUE(parsed.is_ok());
  EXPECT_TRUE(parsed->mentions("enable_thinking"));
  EXPECT_FALSE(parsed->mentions("tools"));
  EXPECT_FALSE(parsed->mentions("nothing"));
}

TEST(ChatTemplate, TimeCanBeFixed) {
  const Json variables = Json::object({{std::string(kTemplateNowVariable), 1'709'210'096}});
  EXPECT_EQ(*render("{{ strftime_now('%Y-%m-%d %H:%M:%S %a %d %B %j') }}", variables),
            "2024-02-29 12:34:56 Thu 29 February 060");
}

}  // namespace
}  // namespace yunqi
