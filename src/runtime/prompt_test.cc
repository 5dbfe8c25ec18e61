// Prompts: user text names no control tokens, messages are made fit for templates, errors say
// where.
#include "runtime/prompt.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "text/tokenizer_fixture.h"

namespace yunqi {
namespace {

Json json(std::string_view text) { return parse_json(text).value(); }

std::string joined(const std::vector<PromptPiece>& pieces) {
  std::string out;
  for (const PromptPiece& piece : pieces) out += piece.text;
  return out;
}

// Text with added tokens and pieces of them in it.
std::string control_rich_text(Random& random, const Tokenizer& tokenizer) {
  std::string out;
  const size_t parts = below(random, 6);
  for (size_t i = 0; i < parts; ++i) {
    const auto added = tokenizer.added_tokens();
    const std::string& token = added[below(random, added.size())].text;
    const size_t kind = below(random, 4);
    if (kind == 0) out += token;
    if (kind == 1) out += token.substr(0, below(random, token.size()));
    if (kind >= 2) out += random_text(random, below(random, 8));
  }
  return out;
}

TEST(EncodePieces, TrustedPiecesGiveTheIdsOfTheWholeText) {
  const Tokenizer tokenizer = tiny_tokenizer();
  Random random(3);
  for (int round = 0; round < 1500; ++round) {
    const std::string text = control_rich_text(random, tokenizer);
    EXPECT_EQ(encode_pieces(tokenizer, std::vector<PromptPiece>{{text, true}}),
              tokenizer.encode(text, {.allow_added_tokens = true}))
        << text;
  }
}

// Minutes when every added token is searched from every match.
TEST(EncodePieces, ManyAddedTokensAndManyMatchesTakeOnePass) {
  TokenizerSpec spec = byte_spec();
  for (int32_t i = 0; i < 20'000; ++i) {
    spec.tokens.push_back(fmt::format("<|unused_{}|>", i));
    spec.added.push_back({.id = 256 + i, .text = spec.tokens.back()});
  }
  const Tokenizer tokenizer = Tokenizer::create(std::move(spec)).value();
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "<|unused_0|>x";
  const auto ids = encode_pieces(tokenizer, std::vector<PromptPiece>{{text, true}});
  ASSERT_EQ(ids.size(), 40'000u);
  EXPECT_EQ(ids[0], 256);
  EXPECT_EQ(ids[39'999], 'x');
}

TEST(EncodePieces, PieceBordersInPlainTextDoNotShow) {
  const Tokenizer tokenizer = tiny_tokenizer();
  Random random(4);
  for (int round = 0; round < 1500; ++round) {
    std::vector<PromptPiece> pieces;
    const size_t count = below(random, 6);
    for (size_t i = 0; i < count; ++i) {
      pieces.push_back({random_text(random, below(random, 6)), below(random, 2) == 0});
    }
    EXPECT_EQ(encode_pieces(tokenizer, pieces), tokenizer.encode(joined(pieces)));
  }
}

TEST(EncodePieces, UserTextNeverBecomesAControlToken) {
  const Tokenizer tokenizer = tiny_tokenizer();
  Random random(5);
  for (int round = 0; round < 1500; ++round) {
    const std::string user = control_rich_text(random, tokenizer);
    const std::vector<PromptPiece> pieces = {
        {"<|im_start|>user\n", true}, {user, false}, {"<|im_end|>\n", true}};
    const std::vector<TokenId> ids = encode_pieces(tokenizer, pieces);
    const auto added =
        std::count_if(ids.begin(), ids.end(), [&](TokenId id) { return tokenizer.is_added(id); });
    ASSERT_EQ(added, 2) << user;
    ASSERT_EQ(ids.front(), tokenizer.find("<|im_start|>"));
  }
}

TEST(EncodePieces, NoControlTokenIsJoinedAcrossAPieceBorder) {
  const Tokenizer tokenizer = tiny_tokenizer();
  for (const bool user_first : {true, false}) {
    const std::vector<PromptPiece> pieces = {{"<|im_", !user_first}, {"end|>", user_first}};
    const std::vector<TokenId> ids = encode_pieces(tokenizer, pieces);
    EXPECT_EQ(ids, tokenizer.encode("<|im_end|>", {.allow_added_tokens = false}));
  }
}

TEST(NormalizeMessages, MakesMessagesFitForTemplates) {
  const Json got = normalize_messages(json(R"([
      {"role": "developer", "content": "be brief"},
      {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
      {"role": "assistant", "content": null, "tool_calls": [
          {"id": "1", "function": {"name": "f", "arguments": "{\"x\": 1}"}}, {"arguments": "[1"}]},
      {"role": "assistant", "tool_calls": null},
      {"role": "tool", "content": ""}])"))
                       .value();
  EXPECT_EQ(got, json(R"([
      {"role": "system", "content": "be brief"},
      {"role": "user", "content": "ab"},
      {"role": "assistant", "content": "", "tool_calls": [
          {"id": "1", "function": {"name": "f", "arguments": {"x": 1}}}, {"arguments": "[1"}]},
      {"role": "assistant", "content": ""},
      {"role": "tool", "content": ""}])"));
}

TEST(NormalizeMessages, ErrorsNameTheField) {
  const std::pair<const char*, const char*> kCases[] = {
      {R"({})", "messages"},
      {R"([1])", "messages[0]"},
      {R"([{"content": "x"}])", "messages[0].role"},
      {R"([{"role": 1, "content": "x"}])", "messages[0].role"},
      {R"([{"role": "robot", "content": "x"}])", "messages[0].role"},
      {R"([{"role": "user", "content": "x"}, {"role": "user"}])", "messages[1].content"},
      {R"([{"role": "user", "content": 5}])", "messages[0].content"},
      {R"([{"role": "user", "content": {"type": "text"}}])", "messages[0].content"},
      {R"([{"role": "user", "content": ["x"]}])", "messages[0].content[0]"},
      {R"([{"role": "user", "content": [{"type": "text"}]}])", "messages[0].content[0].text"},
      {R"([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}])",
       "messages[0].content[1].type"},
      {R"([{"role": "assistant", "tool_calls": {}}])", "messages[0].tool_calls"},
  };
  for (const auto& [messages, field] : kCases) {
    const Result<Json> got = normalize_messages(json(messages));
    ASSERT_FALSE(got.is_ok()) << messages;
    EXPECT_EQ(got.status().field(), field) << messages;
  }
}

TEST(EncodeInfill, IsRefusedWithoutTheTokensAndKeepsUserTextPlain) {
  const Tokenizer tiny = tiny_tokenizer();
  EXPECT_EQ(encode_infill(tiny, "a", "b").status().code(), Code::kUnsupported);
  EXPECT_EQ(encode_infill(tiny, "a", "b").status().field(), "suffix");

  TokenizerSpec spec = byte_spec();
  for (const char* name : {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>"}) {
    spec.added.push_back({.id = static_cast<TokenId>(spec.tokens.size()), .text = name});
    spec.added.back().special = true;
    spec.tokens.emplace_back(name);
  }
  const Tokenizer coder = Tokenizer::create(std::move(spec)).value();
  EXPECT_EQ(encode_infill(coder, "a", "b").value(),
            (std::vector<TokenId>{256, 'a', 257, 'b', 258}));
  const std::vector<TokenId> sly = encode_infill(coder, "<|fim_suffix|>", "<|fim_middle|>").value();
  EXPECT_EQ(std::count_if(sly.begin(), sly.end(), [](TokenId id) { return id >= 256; }), 3);
  EXPECT_EQ(infill_stop_ids(coder), (std::vector<TokenId>{259, 256, 257, 258}));
}

TEST(TemplateVariables, HoldWhatTheRequestSays) {
  GenerateRequest request;
  request.messages = json(R"([{"role": "user", "content": "x"}])");
  EXPECT_EQ(template_variables(request).value(),
            json(R"({"messages": [{"role": "user", "content": "x"}], "tools": null,
                     "documents": null, "add_generation_prompt": true})"));
  request.tools = json(R"([{"type": "function"}])");
  request.thinking = ThinkingMode::kOff;
  request.add_generation_prompt = false;
  request.template_kwargs.set("preserve_thinking", Json(true));
  EXPECT_EQ(template_variables(request).value(),
            json(R"({"preserve_thinking": true, "messages": [{"role": "user", "content": "x"}],
                     "tools": [{"type": "function"}], "documents": null,
                     "add_generation_prompt": false, "enable_thinking": false})"));
}

}  // namespace
}  // namespace yunqi
