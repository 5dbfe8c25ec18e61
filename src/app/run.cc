// yunqi run: chat in the terminal, or one answer to a prompt and exit.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "app/command.h"
#include "app/generation_flags.h"
#include "app/open_model.h"
#include "base/signal.h"
#include "base/terminal.h"
#include "runtime/receipt.h"

namespace yunqi {
namespace {

struct RunFlags {
  ModelFlags model;
  GenerationFlags generation;
  std::string prompt;
  std::string system;
  bool raw = false;
  bool json = false;
};

struct Answer {
  std::string text, reasoning;
  std::vector<TokenId> ids;
  FinishReason finish = FinishReason::kNone;
};

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

// Reads the generation to its end, printing as it comes when `live`. Ctrl-C cancels it.
Result<Answer> collect(Generation& generation, bool live) {
  Answer answer;
  const int signals_before = stop_signals();
  bool in_reasoning = false;
  while (std::optional<OutputEvent> event = generation.next()) {
    if (stop_signals() > signals_before) generation.cancel();
    for (const TokenText& token : event->tokens) answer.ids.push_back(token.id);
    answer.reasoning += event->delta.reasoning;
    answer.text += event->delta.content;
    if (live) {
      if (!event->delta.reasoning.empty() && !in_reasoning) print("[thinking]\n");
      in_reasoning = in_reasoning || !event->delta.reasoning.empty();
      print(event->delta.reasoning);
      if (!event->delta.content.empty() && in_reasoning) {
        print("\n[answer]\n");
        in_reasoning = false;
      }
      print(event->delta.content);
    }
    if (event->kind == OutputEvent::Kind::kFinished) {
      if (event->finish == FinishReason::kError) return event->error;
      answer.finish = event->finish;
    }
  }
  return answer;
}

Json to_json(const Answer& answer, const Generation& generation) {
  Json ids = Json::array(), prompt_ids = Json::array();
  for (const TokenId id : answer.ids) ids.push_back(Json(id));
  for (const TokenId id : generation.prompt()) prompt_ids.push_back(Json(id));
  const Usage& usage = generation.usage();
  const Timings& times = generation.timings();
  const auto ms = [](int64_t ns) { return Json(static_cast<double>(ns) / 1e6); };
  Json out = Json::object();
  out.set("text", Json(answer.text));
  if (!answer.reasoning.empty()) out.set("reasoning", Json(answer.reasoning));
  out.set("token_ids", std::move(ids));
  out.set("prompt_token_ids", std::move(prompt_ids));
  out.set("usage", Json::object({{"prompt_tokens", usage.prompt_tokens},
                                 {"completion_tokens", usage.output_tokens},
                                 {"reasoning_tokens", usage.reasoning_tokens},
                                 {"cached_tokens", usage.cached_tokens}}));
  out.set("timings", Json::object({{"queue_ms", ms(times.queue_ns)},
                                   {"prefill_ms", ms(times.prefill_ns)},
                                   {"decode_ms", ms(times.decode_ns)}}));
  out.set("seed", Json(generation.seed()));
  out.set("finish_reason", Json(finish_name(answer.finish)));
  return out;
}

GenerateRequest chat_request(const RunFlags& flags, const Json& messages) {
  GenerateRequest request;
  flags.generation.apply(request);
  request.messages = messages;
  return request;
}

Json message(const char* role, const std::string& content) {
  return Json::object({{"role", role}, {"content", content}});
}

Status answer_once(const RunFlags& flags, const LoadedModel& model, const std::string& prompt) {
  GenerateRequest request;
  if (flags.raw) {
    flags.generation.apply(request);
    request.prompt = GenerateRequest::Prompt::kText;
    request.text = prompt;
  } else {
    Json messages = Json::array();
    if (!flags.system.empty()) messages.push_back(message("system", flags.system));
    messages.push_back(message("user", prompt));
    request = chat_request(flags, messages);
  }
  request.want_token_ids = true;
  YQ_TRY(const std::unique_ptr<Generation> generation, model.start(request));
  YQ_TRY(const Answer answer, collect(*generation, /*live=*/!flags.json));
  print(flags.json ? to_json(answer, *generation).dump() + "\n" : "\n");
  if (answer.finish == FinishReason::kCancelled) return error(Code::kCancelled, "interrupted");
  return Status::ok();
}

Status chat(const RunFlags& flags, const LoadedModel& model) {
  std::fprintf(stderr, "%s. Type a message; /clear starts over; Ctrl-D ends.\n",
               model.id().c_str());
  Json messages = Json::array();
  const auto reset = [&] {
    messages = Json::array();
    if (!flags.system.empty()) messages.push_back(message("system", flags.system));
  };
  reset();
  std::string line;
  while (true) {
    std::fprintf(stderr, "> ");
    if (!std::getline(std::cin, line)) break;
    if (line == "/bye" || line == "/exit") break;
    if (line == "/clear") {
      reset();
      continue;
    }
    if (line.empty()) continue;
    messages.push_back(message("user", line));
    Result<std::unique_ptr<Generation>> generation = model.start(chat_request(flags, messages));
    if (!generation.is_ok()) {
      std::fprintf(stderr, "yunqi: %s\n", generation.status().message().c_str());
      messages.as_array().pop_back();
      continue;
    }
    YQ_TRY(const Answer answer, collect(**generation, /*live=*/true));
    print("\n");
    messages.push_back(message("assistant", answer.text));
  }
  std::fputc('\n', stderr);
  return Status::ok();
}

Status run(const RunFlags& flags) {
  catch_stop_signals();
  YQ_TRY(const OpenedModel opened, open_model(flags.model));
  if (!flags.prompt.empty()) return answer_once(flags, *opened.model, flags.prompt);
  if (is_terminal(StandardStream::kIn)) return chat(flags, *opened.model);
  const std::string prompt(std::istreambuf_iterator<char>(std::cin), {});
  return answer_once(flags, *opened.model, prompt);
}

}  // namespace

void add_run_command(CLI::App& root, Action& action) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App& command = *root.add_subcommand("run", "Chat in the terminal, or answer one prompt");
  command.add_option("model", flags->model.model, "path, catalogue name, hf:... or ms:...")
      ->required();
  command.add_option("prompt", flags->prompt, "the prompt; without it, stdin or a chat");
  command.add_option("--system", flags->system, "system message");
  command.add_flag("--raw", flags->raw, "no chat template: continue the text");
  command.add_flag("--json", flags->json, "one JSON object with text, ids, usage and timings");
  flags->generation.add_to(command);
  flags->model.add_to(command);
  command.callback([&action, flags] { action = [flags] { return run(*flags); }; });
}

}  // namespace yunqi
