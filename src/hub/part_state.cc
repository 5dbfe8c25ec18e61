// The sidecar of a half download as JSON. It is our own file, but a crash or a person may have
// damaged it, so it is checked like any other input.
#include "hub/part_state.h"

#include <algorithm>

#include "base/json.h"

namespace yunqi {
namespace {

constexpr int64_t kVersion = 1;
constexpr uint64_t kMaxStateBytes = uint64_t{4} << 20;

Status bad_state(const Path& path) {
  return error(Code::kBadFile, "{}: not the state of a half download", path.string());
}

const std::string* text_of(const Json& root, std::string_view key) {
  const Json* value = root.find(key);
  return value && value->is_string() ? &value->as_string() : nullptr;
}

}  // namespace

void RangeSet::add(uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  auto first = std::find_if(ranges_.begin(), ranges_.end(),
                            [&](const Range& range) { return range.second >= begin; });
  auto last = first;
  while (last != ranges_.end() && last->first <= end) {
    begin = std::min(begin, last->first);
    end = std::max(end, last->second);
    ++last;
  }
  first = ranges_.erase(first, last);
  ranges_.insert(first, {begin, end});
}

uint64_t RangeSet::total() const {
  uint64_t sum = 0;
  for (const auto& [begin, end] : ranges_) sum += end - begin;
  return sum;
}

std::vector<RangeSet::Range> RangeSet::missing(uint64_t size, uint64_t piece) const {
  std::vector<Range> out;
  uint64_t at = 0;
  const auto gap = [&](uint64_t end) {
    while (at < end) {
      const uint64_t length = std::min(piece, end - at);
      out.emplace_back(at, at + length);
      at += length;
    }
  };
  for (const auto& [begin, end] : ranges_) {
    gap(std::min(begin, size));
    at = std::max(at, end);
  }
  gap(size);
  return out;
}

Result<PartState> load_part_state(const Path& path) {
  YQ_TRY(const std::string text, read_file(path, kMaxStateBytes));
  const Result<Json> root = parse_json(text);
  if (!root.is_ok() || !root->is_object()) return bad_state(path);
  const Json* version = root->find("version");
  const Json* size = root->find("size");
  const Json* ranges = root->find("done");
  const std::string* url = text_of(*root, "url");
  const std::string* sha256 = text_of(*root, "sha256");
  const std::string* validator = text_of(*root, "validator");
  if (!version || !version->is_int() || version->as_int() != kVersion || !size || !size->is_int() ||
      size->as_int() < 0 || !ranges || !ranges->is_array() || !url || !sha256 || !validator ||
      ranges->as_array().size() > kMaxStoredRanges) {
    return bad_state(path);
  }
  PartState state{*url, static_cast<uint64_t>(size->as_int()), *sha256, *validator, {}};
  for (const Json& item : ranges->as_array()) {
    const bool is_pair = item.is_array() && item.as_array().size() == 2 &&
                         item.as_array()[0].is_int() && item.as_array()[1].is_int();
    if (!is_pair) return bad_state(path);
    const int64_t begin = item.as_array()[0].as_int();
    const int64_t end = item.as_array()[1].as_int();
    if (begin < 0 || end <= begin || end > size->as_int()) return bad_state(path);
    state.done.add(static_cast<uint64_t>(begin), static_cast<uint64_t>(end));
  }
  return state;
}

Status save_part_state(const Path& path, const PartState& state) {
  Json ranges = Json::array();
  for (const auto& [begin, end] : state.done.ranges()) {
    ranges.push_back(Json::array({Json(begin), Json(end)}));
  }
  const Json root = Json::object({{"version", kVersion},
                                  {"url", state.url},
                                  {"size", state.size},
                                  {"sha256", state.sha256},
                                  {"validator", state.validator},
                                  {"done", std::move(ranges)}});
  return write_file_atomically(path, root.dump());
}

}  // namespace yunqi
