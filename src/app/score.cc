// yunqi score: log-likelihood and perplexity of a text, its logits to a file, and how far they are
// from another file's (mean KL divergence, top-1 agreement). Runs the executor directly, in chunks.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/open_model.h"
#include "base/output_file.h"
#include "engine/model_executor.h"
#include "engine/sampling.h"
#include "model/model.h"
#include "ops/cpu/cpu_device.h"
#include "runtime/loaded_model.h"

namespace yunqi {
namespace {

// The logits file: this head, `rows` int32 token ids, then rows x vocab float32, little-endian;
// row i holds the logits after token i.
struct LogitsHead {
  char magic[4] = {'Y', 'Q', 'L', 'G'};
  uint32_t version = 1;
  uint32_t rows = 0;
  uint32_t vocab = 0;
};

struct ScoreFlags {
  ModelFlags model;
  std::string file, save_logits, against;
  int64_t max_tokens = 0;
  bool json = false;
};

class LogitsFile {
 public:
  static Result<LogitsFile> open(const std::string& path) {
    LogitsFile out;
    YQ_TRY(out.file_, MappedFile::open(path));
    const auto bytes = out.file_.bytes();
    if (bytes.size() < sizeof(LogitsHead)) {
      return error(Code::kBadFile, "{}: want a logits file, found {} bytes", path, bytes.size());
    }
    std::memcpy(&out.head_, bytes.data(), sizeof(LogitsHead));
    const uint64_t want = sizeof(LogitsHead) + uint64_t{out.head_.rows} * 4 +
                          uint64_t{out.head_.rows} * out.head_.vocab * 4;
    if (std::memcmp(out.head_.magic, "YQLG", 4) != 0 || out.head_.version != 1 ||
        bytes.size() != want) {
      return error(Code::kBadFile, "{}: not a version 1 logits file of {} x {} (want {} bytes)",
                   path, out.head_.rows, out.head_.vocab, want);
    }
    return out;
  }

  uint32_t rows() const { return head_.rows; }
  uint32_t vocab() const { return head_.vocab; }
  int32_t token(uint32_t row) const {
    int32_t id;
    std::memcpy(&id, file_.bytes().data() + sizeof(LogitsHead) + uint64_t{row} * 4, 4);
    return id;
  }
  std::span<const float> logits(uint32_t row) const {
    const size_t offset =
        sizeof(LogitsHead) + uint64_t{head_.rows} * 4 + uint64_t{row} * head_.vocab * 4;
    return {reinterpret_cast<const float*>(file_.bytes().data() + offset), head_.vocab};
  }

 private:
  MappedFile file_;
  LogitsHead head_;
};

double log_sum_exp(std::span<const float> logits) {
  const float top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - top));
  return top + std::log(sum);
}

// KL(reference || ours) over the shared ids, in nats.
double kl_divergence(std::span<const float> reference, std::span<const float> ours) {
  const double log_z_reference = log_sum_exp(reference);
  const double log_z_ours = log_sum_exp(ours);
  double sum = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - log_z_reference;
    sum += std::exp(log_p) * (log_p - (ours[i] - log_z_ours));
  }
  return sum;
}

size_t argmax(std::span<const float> values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

struct Scores {
  int64_t scored = 0;
  double log_likelihood = 0;
  int64_t compared = 0, agreed = 0;
  double kl_sum = 0;
};

// Plans one chunk of a single sequence whose pages are 0, 1, 2, ...
void plan_chunk(StepPlan& plan, std::span<const TokenId> tokens, int32_t begin, int32_t rows,
                std::span<const int32_t> pages) {
  plan.clear();
  for (int32_t i = 0; i < rows; ++i) {
    const int32_t position = begin + i;
    plan.tokens.push_back(tokens[static_cast<size_t>(position)]);
    plan.positions.push_back({position, position, position});
    plan.logit_rows.push_back(i);
  }
  plan.runs.push_back({.sequence = 1,
                       .run = {.first_row = 0, .rows = rows, .context = begin, .pages = pages},
                       .wants_logits = true,
                       .wants_all_logits = true});
}

void score_row(std::span<const float> logits, size_t row, std::span<const TokenId> tokens,
               const LogitsFile* against, Scores& scores) {
  if (row + 1 < tokens.size()) {
    scores.log_likelihood +=
        score_token(logits, static_cast<int32_t>(logits.size()), tokens[row + 1], 0).logprob;
    ++scores.scored;
  }
  if (against == nullptr || row >= against->rows()) return;
  const auto reference = against->logits(static_cast<uint32_t>(row));
  const size_t shared = std::min(reference.size(), logits.size());
  scores.kl_sum += kl_divergence(reference.first(shared), logits.first(shared));
  scores.agreed += argmax(reference.first(shared)) == argmax(logits.first(shared)) ? 1 : 0;
  ++scores.compared;
}

// Appends to a file beside `path`, which takes its name at the end: never half a file.
class LogitsWriter {
 public:
  static Result<LogitsWriter> create(const Path& path, std::span<const TokenId> tokens,
                                     int32_t vocab) {
    Path part = path;
    part += ".part";
    YQ_TRY(OutputFile file, OutputFile::open(part));
    YQ_RETURN_IF_ERROR(file.resize(0));
    LogitsWriter out(std::move(file), path, part);
    LogitsHead head;
    head.rows = static_cast<uint32_t>(tokens.size());
    head.vocab = static_cast<uint32_t>(vocab);
    YQ_RETURN_IF_ERROR(out.append(&head, sizeof head));
    YQ_RETURN_IF_ERROR(out.append(tokens.data(), tokens.size_bytes()));
    return out;
  }

  Status append(const void* data, size_t bytes) {
    YQ_RETURN_IF_ERROR(file_.write_at(offset_, {static_cast<const char*>(data), bytes}));
    offset_ += bytes;
    return Status::ok();
  }

  Status commit() {
    YQ_RETURN_IF_ERROR(file_.sync());
    return rename_durably(part_, path_);
  }

 private:
  LogitsWriter(OutputFile file, Path path, Path part)
      : file_(std::move(file)), path_(std::move(path)), part_(std::move(part)) {}
  OutputFile file_;
  Path path_, part_;
  uint64_t offset_ = 0;
};

Result<Scores> score_tokens(Executor& executor, std::span<const TokenId> tokens, int32_t vocab,
                            const LogitsFile* against, LogitsWriter* save) {
  const ExecutorLimits& limits = executor.limits();
  std::vector<int32_t> pages(tokens.size() / static_cast<size_t>(limits.page_tokens) + 1);
  for (size_t i = 0; i < pages.size(); ++i) pages[i] = static_cast<int32_t>(i);
  const int32_t chunk = std::min(limits.max_rows, limits.max_logit_rows);
  Scores scores;
  StepPlan plan;
  const int32_t total = static_cast<int32_t>(tokens.size());
  for (int32_t begin = 0; begin < total; begin += chunk) {
    const int32_t rows = std::min(chunk, total - begin);
    plan_chunk(plan, tokens, begin, rows, pages);
    YQ_TRY(const Matrix<float> logits, executor.execute(plan));
    for (int32_t i = 0; i < rows; ++i) {
      const std::span<const float> row = logits.row_span(i).first(static_cast<size_t>(vocab));
      score_row(row, static_cast<size_t>(begin + i), tokens, against, scores);
      if (save != nullptr) YQ_RETURN_IF_ERROR(save->append(row.data(), row.size_bytes()));
    }
  }
  return scores;
}

void report(const ScoreFlags& flags, const Scores& scores, size_t tokens) {
  const double perplexity =
      std::exp(-scores.log_likelihood / static_cast<double>(std::max<int64_t>(scores.scored, 1)));
  Json out = Json::object({{"tokens", static_cast<int64_t>(tokens)},
                           {"log_likelihood", scores.log_likelihood},
                           {"perplexity", perplexity}});
  if (scores.compared > 0) {
    const double n = static_cast<double>(scores.compared);
    out.set("compared_positions", Json(scores.compared));
    out.set("mean_kl", Json(scores.kl_sum / n));
    out.set("top1_agreement", Json(static_cast<double>(scores.agreed) / n));
  }
  if (flags.json) {
    std::printf("%s\n", out.dump().c_str());
    return;
  }
  for (const auto& [name, value] : out.as_object()) {
    std::printf("%-20s %s\n", name.c_str(), value.dump().c_str());
  }
}

Status score(const ScoreFlags& flags) {
  YQ_TRY(const RuntimeOptions options, flags.model.runtime_options());
  YQ_TRY(const std::string text, read_file(flags.file));
  YQ_TRY(const InstalledModel installed, resolve_model(flags.model.model));
  YQ_TRY(const std::unique_ptr<Checkpoint> checkpoint, Checkpoint::open(installed.path));
  YQ_TRY(const Tokenizer tokenizer, make_tokenizer(*checkpoint));
  std::vector<TokenId> tokens = tokenizer.encode(text, {.allow_added_tokens = true});
  if (flags.max_tokens > 0) {
    tokens.resize(std::min(tokens.size(), static_cast<size_t>(flags.max_tokens)));
  }
  if (tokens.size() < 2) {
    return error(Code::kInvalidArgument, "{}: want a text of at least two tokens", flags.file);
  }
  LoadOptions load{.numerics = options.numerics};
  load.max_context = static_cast<int64_t>(tokens.size()) + 1;
  YQ_TRY(const std::unique_ptr<Device> device,
         make_cpu_device({.threads = flags.model.threads, .isa = {}}));
  YQ_TRY(std::unique_ptr<Model> model, load_model(*checkpoint, *device, load));
  const int32_t vocab = std::min(tokenizer.size(), model->info().vocab_rows);
  YQ_TRY(const std::unique_ptr<Executor> executor,
         make_model_executor(std::move(model), *device, {.load = load}));

  std::optional<LogitsFile> against;
  if (!flags.against.empty()) {
    YQ_TRY(against, LogitsFile::open(flags.against));
    for (uint32_t i = 0; i < against->rows() && i < tokens.size(); ++i) {
      if (against->token(i) == tokens[i]) continue;
      return error(Code::kBadFile, "{}: token {} is {}, but {} has {}; want the same text",
                   flags.against, i, against->token(i), flags.file, tokens[i]);
    }
  }
  std::optional<LogitsWriter> save;
  if (!flags.save_logits.empty()) {
    YQ_TRY(save, LogitsWriter::create(flags.save_logits, tokens, vocab));
  }
  YQ_TRY(const Scores scores, score_tokens(*executor, tokens, vocab, against ? &*against : nullptr,
                                           save ? &*save : nullptr));
  if (save) YQ_RETURN_IF_ERROR(save->commit());
  report(flags, scores, tokens.size());
  return Status::ok();
}

}  // namespace

void add_score_command(CLI::App& root, Action& action) {
  auto flags = std::make_shared<ScoreFlags>();
  CLI::App& command = *root.add_subcommand("score", "Log-likelihood and perplexity of a text");
  command.add_option("model", flags->model.model, "path or name of a model")->required();
  command.add_option("file", flags->file, "the text")->required();
  command.add_option("--save-logits", flags->save_logits, "write every position's logits here");
  command.add_option("--against", flags->against,
                     "logits file to compare with: mean KL divergence, top-1 agreement");
  command.add_option("--max-tokens", flags->max_tokens, "score this many tokens only");
  command.add_flag("--json", flags->json, "one JSON object");
  flags->model.add_to(command);
  command.callback([&action, flags] { action = [flags] { return score(*flags); }; });
}

}  // namespace yunqi
