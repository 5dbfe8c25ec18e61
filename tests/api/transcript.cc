// See transcript.h.
#include "tests/api/transcript.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/file.h"

namespace yunqi {
namespace {

class Parser {
 public:
  Parser(std::string file, std::vector<TranscriptCase>& out) : file_(std::move(file)), out_(out) {}

  Status parse(const std::string& text) {
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      ++line_;
      YQ_RETURN_IF_ERROR(take(text.substr(begin, end - begin)));
      begin = end + 1;
    }
    return Status::ok();
  }

 private:
  Status wrong(const std::string& what) const {
    return error(Code::kBadFile, "{}:{}: {}", file_, line_, what);
  }

  Status take(const std::string& line) {
    const auto starts = [&](std::string_view word) { return line.starts_with(word); };
    if (line.empty() || starts("#")) return starts("## ") ? begin_case(line.substr(3)) : Status();
    if (out_.empty()) return wrong("want `## name` first");
    TranscriptCase& now = out_.back();
    if (starts("server ")) return json(line.substr(7), [&](Json v) { now.server = std::move(v); });
    if (starts("engine ")) return json(line.substr(7), [&](Json v) { now.engine.push_back(v); });
    if (starts("asked ")) return json(line.substr(6), [&](Json v) { now.asked.push_back(v); });
    if (starts("> ")) return request_line(now, line.substr(2));
    if (now.exchanges.empty()) return wrong("want `> METHOD /path` first");
    Exchange& exchange = now.exchanges.back();
    if (line == "hangup") {
      exchange.hangup = true;
      in_response_ = true;
    } else if (starts("< ")) {
      return response_line(exchange, line.substr(2));
    } else if (starts("data ")) {
      exchange.data.push_back(line.substr(5));
    } else if (starts("contains ")) {
      exchange.contains.push_back(line.substr(9));
    } else {
      (in_response_ ? exchange.body : exchange.request.body) += line;
    }
    return Status::ok();
  }

  Status begin_case(const std::string& name) {
    out_.emplace_back();
    out_.back().name = name;
    out_.back().file = file_;
    out_.back().line = line_;
    in_response_ = true;
    return Status::ok();
  }

  template <typename Take>
  Status json(const std::string& text, Take&& take_value) {
    Result<Json> value = parse_json(text);
    if (!value.is_ok()) return wrong(value.status().message());
    take_value(std::move(value).value());
    return Status::ok();
  }

  // The first `>` line after a response is a request's; those after it are headers.
  Status request_line(TranscriptCase& now, const std::string& line) {
    if (!in_response_) {
      const size_t colon = line.find(": ");
      if (colon == std::string::npos) return wrong("want `> name: value`");
      now.exchanges.back().request.headers.emplace_back(line.substr(0, colon),
                                                        line.substr(colon + 2));
      return Status::ok();
    }
    const size_t space = line.find(' ');
    if (space == std::string::npos) return wrong("want `> METHOD /path`");
    in_response_ = false;
    HttpRequest& request = now.exchanges.emplace_back().request;
    request.method = line.substr(0, space);
    request.path = line.substr(space + 1);
    request.id = "test";
    return Status::ok();
  }

  Status response_line(Exchange& exchange, const std::string& line) {
    if (in_response_) {
      const size_t colon = line.find(": ");
      if (colon == std::string::npos) return wrong("want `< Name: value`");
      exchange.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
      return Status::ok();
    }
    in_response_ = true;
    const auto [end, failed] =
        std::from_chars(line.data(), line.data() + line.size(), exchange.status);
    return failed == std::errc() ? Status::ok() : wrong("want `< status`");
  }

  const std::string file_;
  std::vector<TranscriptCase>& out_;
  int line_ = 0;
  bool in_response_ = true;
};

std::string differs(const Json& want, const Json& found, const std::string& path) {
  return fmt::format("{}: want {}, found {}", path, want.dump(), found.dump());
}

}  // namespace

Result<std::vector<TranscriptCase>> read_transcripts(const std::string& folder) {
  std::vector<Path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".transcript") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<TranscriptCase> out;
  for (const Path& file : files) {
    YQ_TRY(const std::string text, read_file(file));
    YQ_RETURN_IF_ERROR(Parser(file.stem().string(), out).parse(text));
  }
  return out;
}

std::string mismatch(const Json& want, const Json* found, const std::string& path) {
  const bool is_word = want.is_string() && !want.as_string().empty();
  if (is_word && want.as_string() == "<absent>") {
    return found == nullptr ? "" : differs(want, *found, path);
  }
  if (found == nullptr) return path + ": is missing";
  if (is_word && want.as_string() == "<any>") return "";
  if (is_word && want.as_string().front() == '~') {
    const bool contains = found->is_string() &&
                          found->as_string().find(want.as_string().substr(1)) != std::string::npos;
    return contains ? "" : differs(want, *found, path);
  }
  if (want.is_object() && found->is_object()) {
    for (const auto& [name, value] : want.as_object()) {
      const std::string why = mismatch(value, found->find(name), path + "." + name);
      if (!why.empty()) return why;
    }
    return "";
  }
  if (want.is_array() && found->is_array()) {
    const JsonArray& items = found->as_array();
    if (items.size() != want.as_array().size()) return differs(want, *found, path);
    for (size_t i = 0; i < items.size(); ++i) {
      const std::string why =
          mismatch(want.as_array()[i], &items[i], fmt::format("{}[{}]", path, i));
      if (!why.empty()) return why;
    }
    return "";
  }
  if (want.is_number() && found->is_number()) {
    return want.as_double() == found->as_double() ? "" : differs(want, *found, path);
  }
  return want == *found ? "" : differs(want, *found, path);
}

}  // namespace yunqi
