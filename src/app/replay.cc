// yunqi replay: computes an answer again from its receipt and its request, and says whether the
// same ids come out, or where they differ.
#include "runtime/replay.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "app/command.h"
#include "app/open_model.h"
#include "base/file.h"
#include "service/openai_request.h"

namespace yunqi {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{64} << 20;

struct ReplayFlags {
  ModelFlags model;
  std::string receipt;
  std::string request;
};

Result<Json> read_json(const std::string& path) {
  YQ_TRY(const std::string text, read_file(path, kMaxFileBytes));
  Result<Json> json = parse_json(text);
  if (!json.is_ok()) return json.status().with_context(path);
  return json;
}

struct Asked {
  std::vector<GenerateRequest> prompts;
  std::string model;
};

// The body of a chat or a completion request.
Result<Asked> parse_request(const Json& body) {
  Asked out;
  if (body.find("messages") != nullptr) {
    YQ_TRY(ChatRequest chat, parse_chat_request(body));
    out.model = chat.reply.model;
    out.prompts.push_back(std::move(chat.generate));
  } else {
    YQ_TRY(CompletionRequest completion, parse_completion_request(body));
    out.model = completion.reply.model;
    out.prompts = std::move(completion.generate);
  }
  return out;
}

Status run_replay(ReplayFlags flags) {
  YQ_TRY(const Json receipt_text, read_json(flags.receipt));
  Result<Receipt> parsed = parse_receipt(receipt_text);
  if (!parsed.is_ok()) return parsed.status().with_context(flags.receipt);
  const Receipt& want = *parsed;
  YQ_TRY(const Json body, read_json(flags.request));
  Result<Asked> asked = parse_request(body);
  if (!asked.is_ok()) {
    const std::string& field = asked.status().field();
    return asked.status().with_context(field.empty() ? flags.request
                                                     : flags.request + ": " + field);
  }
  if (flags.model.model.empty()) flags.model.model = asked->model;
  if (flags.model.model.empty()) flags.model.model = want.model;

  YQ_TRY(const OpenedModel opened, open_model(flags.model));
  YQ_TRY(const Receipt found, replay(*opened.model, asked->prompts, want));
  const std::vector<std::string> differences = receipt_differences(want, found);
  for (const std::string& line : differences) std::printf("%s\n", line.c_str());
  if (!differences.empty()) {
    const bool other_engine = want.fingerprint != found.fingerprint;
    return error(Code::kInternal, "the replay differs from the receipt in {} places{}",
                 differences.size(),
                 other_engine ? "; equal ids need the build, model and number formats that the "
                                "fingerprint names"
                              : "");
  }
  int64_t tokens = 0;
  for (const ReceiptOutput& output : found.outputs) tokens += output.output_tokens;
  std::printf("equal: %zu choices, %lld tokens, %s, seed %llu\n", found.outputs.size(),
              static_cast<long long>(tokens), found.fingerprint.c_str(),
              static_cast<unsigned long long>(found.seed));
  return Status::ok();
}

}  // namespace

void add_replay_command(CLI::App& root, Action& action) {
  auto flags = std::make_shared<ReplayFlags>();
  CLI::App& command =
      *root.add_subcommand("replay", "Compute an answer again and compare it with its receipt");
  command.add_option("receipt", flags->receipt, "JSON file: x_receipt, or the reply that has it")
      ->required();
  command.add_option("--request", flags->request, "JSON file: the body of the request")->required();
  command.add_option("--model", flags->model.model, "path or name (default: the request's model)");
  flags->model.add_to(command);
  command.callback([&action, flags] { action = [flags] { return run_replay(*flags); }; });
}

}  // namespace yunqi
