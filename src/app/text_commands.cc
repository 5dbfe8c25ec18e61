// yunqi tokenize and yunqi render: what a checkpoint's tokenizer and template make of a text.
#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "app/command.h"
#include "app/open_model.h"
#include "checkpoint/checkpoint.h"
#include "runtime/prompt.h"

namespace yunqi {
namespace {

struct TokenizeFlags {
  std::string model, text;
  bool has_text = false;
  bool ids = false, decode = false, special = false;
};

struct RenderFlags {
  std::string model, file;
};

std::string read_stdin() { return {std::istreambuf_iterator<char>(std::cin), {}}; }

Result<std::vector<TokenId>> parse_ids(std::string_view text) {
  std::vector<TokenId> ids;
  const char* at = text.data();
  const char* end = at + text.size();
  while (true) {
    while (at != end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == ',')) ++at;
    if (at == end) return ids;
    TokenId id = 0;
    const auto [next, failed] = std::from_chars(at, end, id);
    if (failed != std::errc()) {
      return error(Code::kInvalidArgument, "want token ids separated by spaces, found \"{}\"",
                   std::string(at, std::min<size_t>(static_cast<size_t>(end - at), 20)));
    }
    ids.push_back(id);
    at = next;
  }
}

Result<Tokenizer> open_tokenizer(const std::string& model) {
  YQ_TRY(const InstalledModel installed, resolve_model(model));
  YQ_TRY(const std::unique_ptr<Checkpoint> checkpoint, Checkpoint::open(installed.path));
  return make_tokenizer(*checkpoint);
}

Status tokenize(const TokenizeFlags& flags) {
  YQ_TRY(const Tokenizer tokenizer, open_tokenizer(flags.model));
  const std::string text = flags.has_text ? flags.text : read_stdin();
  if (flags.decode) {
    YQ_TRY(const std::vector<TokenId> ids, parse_ids(text));
    const std::string bytes = tokenizer.decode(ids);
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    return Status::ok();
  }
  const std::vector<TokenId> ids = tokenizer.encode(text, {.allow_added_tokens = flags.special});
  if (flags.ids) {
    for (size_t i = 0; i < ids.size(); ++i) std::printf(i == 0 ? "%d" : " %d", ids[i]);
    std::fputc('\n', stdout);
    return Status::ok();
  }
  for (const TokenId id : ids) {
    std::string literal;
    append_json_string(literal, std::string(tokenizer.token_bytes(id)));
    std::printf("%7d  %s\n", id, literal.c_str());
  }
  return Status::ok();
}

Status render(const RenderFlags& flags) {
  YQ_TRY(const InstalledModel installed, resolve_model(flags.model));
  YQ_TRY(const std::unique_ptr<Checkpoint> checkpoint, Checkpoint::open(installed.path));
  if (checkpoint->chat_template().empty()) {
    return error(Code::kUnsupported, "{} has no chat template", installed.path.string());
  }
  YQ_TRY(const ChatTemplate chat_template, ChatTemplate::parse(checkpoint->chat_template()));
  YQ_TRY(const std::string text, read_file(flags.file, uint64_t{64} << 20));
  YQ_TRY(Json document, parse_json(text));
  if (!document.is_object() && !document.is_array()) {
    return error(Code::kInvalidArgument,
                 "{}: want {{\"messages\": [...]}} or a list of messages, found {}", flags.file,
                 document.type_name());
  }
  if (document.is_array()) document = Json::object({{"messages", std::move(document)}});
  const Json* messages = document.find("messages");
  if (messages == nullptr || !messages->is_array()) {
    return error(Code::kInvalidArgument, "{}: want a list under \"messages\"", flags.file);
  }
  YQ_TRY(Json normal, normalize_messages(*messages));
  document.set("messages", std::move(normal));
  if (document.find("add_generation_prompt") == nullptr) {
    document.set("add_generation_prompt", Json(true));
  }
  YQ_TRY(const std::string rendered, chat_template.render(document));
  std::fwrite(rendered.data(), 1, rendered.size(), stdout);
  return Status::ok();
}

}  // namespace

void add_tokenize_command(CLI::App& root, Action& action) {
  auto flags = std::make_shared<TokenizeFlags>();
  CLI::App& command = *root.add_subcommand("tokenize", "Text to token ids and back, byte for byte");
  command.add_option("model", flags->model, "path or name of a model")->required();
  CLI::Option* text = command.add_option("text", flags->text, "the text (default: stdin)");
  command.add_flag("--ids", flags->ids, "print space-separated ids only");
  command.add_flag("--decode", flags->decode, "ids in, bytes out");
  command.add_flag("--special", flags->special, "control tokens in the text become their ids");
  command.callback([&action, flags, text] {
    flags->has_text = text->count() > 0;
    action = [flags] { return tokenize(*flags); };
  });
}

void add_render_command(CLI::App& root, Action& action) {
  auto flags = std::make_shared<RenderFlags>();
  CLI::App& command =
      *root.add_subcommand("render", "The prompt that a model's chat template makes of messages");
  command.add_option("model", flags->model, "path or name of a model")->required();
  command.add_option("file", flags->file, "JSON with messages, tools and template variables")
      ->required();
  command.callback([&action, flags] { action = [flags] { return render(*flags); }; });
}

}  // namespace yunqi
