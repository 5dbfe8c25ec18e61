// See disk_cache.h. A file is: magic, version, page_tokens, identity, key, parent, payload size,
// tokens, payload, and the SHA-256 of all that; integers little-endian.
#include "engine/disk_cache.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "base/output_file.h"
#include "base/sha256.h"

namespace yunqi {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "yunqi-kv";
constexpr uint32_t kVersion = 1;
constexpr std::string_view kEnding = ".kv", kPartial = ".part";
// Names in the folder that are looked at when it is opened.
constexpr size_t kMaxListed = 4'000'000;

struct Header {
  char magic[8];
  uint32_t version, page_tokens;
  Sha256Digest identity;
  PrefixKey key, parent;
  uint64_t payload_bytes;
};
static_assert(std::is_trivially_copyable_v<Header> && sizeof(Header) == 88);

struct KeyHash {
  size_t operator()(const PrefixKey& key) const { return static_cast<size_t>(key.low); }
};

std::optional<PrefixKey> parse_name(const std::string& name) {
  if (name.size() != 32 + kEnding.size() || !name.ends_with(kEnding)) return std::nullopt;
  uint64_t halves[2] = {};
  for (size_t i = 0; i < 32; ++i) {
    const char c = name[i];
    if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) return std::nullopt;
    halves[i / 16] = halves[i / 16] << 4 | static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return PrefixKey{halves[1], halves[0]};
}

class FolderCache final : public DiskCache {
 public:
  FolderCache(const DiskCacheOptions& options, Path folder, std::function<void()> on_loaded)
      : options_(options),
        folder_(std::move(folder)),
        identity_(sha256(options.identity)),
        file_bytes_(sizeof(Header) + sizeof(int32_t) * static_cast<size_t>(options.page_tokens) +
                    options.page_bytes + sizeof(Sha256Digest)),
        on_loaded_(std::move(on_loaded)) {}

  ~FolderCache() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    work_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  // Takes stock of the folder: what is not a whole page goes.
  Status start() {
    std::error_code failed;
    fs::create_directories(folder_, failed);
    if (failed) {
      return error(Code::kNoResources, "{}: cannot make the folder: {}; set another --cache-dir",
                   folder_.string(), failed.message());
    }
    // Pages tell of what people wrote: nobody else's business.
    fs::permissions(folder_, fs::perms::owner_all, failed);
    std::vector<std::pair<fs::file_time_type, PrefixKey>> found;
    fs::directory_iterator files(folder_, failed);
    for (; !failed && files != fs::directory_iterator() && found.size() < kMaxListed;
         files.increment(failed)) {
      std::error_code unreadable;
      const auto key = parse_name(files->path().filename().string());
      if (key && files->is_regular_file(unreadable) &&
          files->file_size(unreadable) == file_bytes_) {
        found.emplace_back(files->last_write_time(unreadable), *key);
      } else if (key || files->path().extension() == kPartial) {
        fs::remove(files->path(), unreadable);
      }
    }
    if (failed) {
      return error(Code::kNoResources, "{}: cannot read the folder: {}", folder_.string(),
                   failed.message());
    }
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [time, key] : found) add_file(key);
    make_room(0);
    thread_ = std::thread([this] { run(); });
    return Status::ok();
  }

  bool contains(const PrefixKey& key) const override {
    const std::lock_guard lock(mutex_);
    return files_.contains(key);
  }

  bool wants(const PrefixKey& key) const override {
    const std::lock_guard lock(mutex_);
    return fits_one() && stores_.size() < kMaxStores && !files_.contains(key);
  }

  void store(DiskPage page) override {
    {
      const std::lock_guard lock(mutex_);
      if (stores_.size() >= kMaxStores) {
        ++stats_.dropped;
        return;
      }
      stores_.push_back(std::move(page));
    }
    work_.notify_one();
  }

  bool load(const PrefixKey& key, const PrefixKey& parent,
            std::span<const int32_t> tokens) override {
    {
      const std::lock_guard lock(mutex_);
      if (asked_ >= kMaxLoads) return false;
      ++asked_;
      loads_.push_back({key, parent, {tokens.begin(), tokens.end()}, {}});
    }
    work_.notify_one();
    return true;
  }

  std::optional<DiskPage> take_loaded() override {
    const std::lock_guard lock(mutex_);
    if (loaded_.empty()) return std::nullopt;
    std::optional<DiskPage> page(std::move(loaded_.front()));
    loaded_.pop_front();
    --asked_;
    return page;
  }

  DiskCacheStats stats() const override {
    const std::lock_guard lock(mutex_);
    DiskCacheStats stats = stats_;
    stats.files = files_.size();
    stats.bytes = files_.size() * file_bytes_;
    return stats;
  }

  void flush() override {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return stores_.empty() && loads_.empty() && !busy_; });
  }

 private:
  bool fits_one() const { return options_.max_bytes >= file_bytes_; }

  Path path_of(const PrefixKey& key) const {
    return folder_ / (key.to_hex() + std::string(kEnding));
  }

  // Reads go first: a request waits for them.
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      work_.wait(lock, [this] { return stop_ || !loads_.empty() || !stores_.empty(); });
      if (stop_ && stores_.empty()) return;
      const bool loading = !loads_.empty() && !stop_;
      auto& queue = loading ? loads_ : stores_;
      DiskPage page = std::move(queue.front());
      queue.pop_front();
      busy_ = true;
      lock.unlock();
      if (loading) {
        finish_load(std::move(page));
      } else {
        write(page);
      }
      lock.lock();
      busy_ = false;
      if (loads_.empty() && stores_.empty()) idle_.notify_all();
    }
  }

  void finish_load(DiskPage page) {
    if (!read(page)) {
      page.bytes.clear();
      std::error_code ignored;
      fs::remove(path_of(page.key), ignored);
    }
    {
      const std::lock_guard lock(mutex_);
      ++(page.bytes.empty() ? stats_.bad : stats_.loaded);
      if (page.bytes.empty()) forget_file(page.key);
      loaded_.push_back(std::move(page));
    }
    if (on_loaded_) on_loaded_();
  }

  Header header_of(const DiskPage& page) const {
    Header header = {};
    std::memcpy(header.magic, kMagic.data(), sizeof header.magic);
    header.version = kVersion;
    header.page_tokens = static_cast<uint32_t>(options_.page_tokens);
    header.identity = identity_;
    header.key = page.key;
    header.parent = page.parent;
    header.payload_bytes = options_.page_bytes;
    return header;
  }

  // Whether the file is exactly the page that was asked for; its payload goes into page.bytes.
  bool read(DiskPage& page) {
    const Path path = path_of(page.key);
    const auto text = read_file(path, file_bytes_);
    if (!text.is_ok() || text->size() != file_bytes_) return false;
    const Header header = header_of(page);
    const size_t token_bytes = page.tokens.size() * sizeof(int32_t);
    const char* data = text->data();
    const char* payload = data + sizeof header + token_bytes;
    const Sha256Digest digest =
        sha256(std::string_view(*text).substr(0, file_bytes_ - sizeof(Sha256Digest)));
    if (page.tokens.size() != static_cast<size_t>(options_.page_tokens) ||
        std::memcmp(data, &header, sizeof header) != 0 ||
        std::memcmp(data + sizeof header, page.tokens.data(), token_bytes) != 0 ||
        std::memcmp(payload + options_.page_bytes, digest.data(), digest.size()) != 0) {
      return false;
    }
    page.bytes.resize(options_.page_bytes);
    std::memcpy(page.bytes.data(), payload, page.bytes.size());
    std::error_code ignored;  // its age is a hint for the next start only
    fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
    const std::lock_guard lock(mutex_);
    if (const auto at = files_.find(page.key); at != files_.end()) {
      by_age_.splice(by_age_.end(), by_age_, at->second);
    }
    return true;
  }

  void write(const DiskPage& page) {
    {
      const std::lock_guard lock(mutex_);
      if (!fits_one() || files_.contains(page.key)) return;
      make_room(1);
    }
    const Status written = write_file(page);
    const std::lock_guard lock(mutex_);
    if (written.is_ok()) {
      add_file(page.key);
      ++stats_.stored;
    } else if (stats_.dropped++ == 0) {
      log_warning("pages are not kept on disk: {}", written.message());
    }
  }

  // Under another name first, so that a name always means a whole file. Not synced: what a crash
  // leaves behind fails its hash.
  Status write_file(const DiskPage& page) {
    const size_t token_bytes = page.tokens.size() * sizeof(int32_t);
    if (page.bytes.size() != options_.page_bytes ||
        page.tokens.size() != static_cast<size_t>(options_.page_tokens)) {
      return error(Code::kInternal, "a page of {} tokens and {} bytes", page.tokens.size(),
                   page.bytes.size());
    }
    const Header header = header_of(page);
    std::string text(file_bytes_, '\0');
    std::memcpy(text.data(), &header, sizeof header);
    std::memcpy(text.data() + sizeof header, page.tokens.data(), token_bytes);
    std::memcpy(text.data() + sizeof header + token_bytes, page.bytes.data(), page.bytes.size());
    const size_t body = file_bytes_ - sizeof(Sha256Digest);
    const Sha256Digest digest = sha256(std::string_view(text).substr(0, body));
    std::memcpy(text.data() + body, digest.data(), digest.size());
    const Path path = path_of(page.key);
    Path partial = path;
    partial += kPartial;
    std::error_code failed;
    {
      YQ_TRY(OutputFile file, OutputFile::open(partial));
      if (Status status = file.write_at(0, text); !status.is_ok()) {
        fs::remove(partial, failed);
        return status;
      }
    }
    fs::rename(partial, path, failed);
    if (failed) return error(Code::kNoResources, "{}: {}", path.string(), failed.message());
    return Status::ok();
  }

  // The rest needs mutex_, or that the thread does not run yet.
  void add_file(const PrefixKey& key) {
    if (!files_.contains(key)) files_[key] = by_age_.insert(by_age_.end(), key);
  }
  void forget_file(const PrefixKey& key) {
    const auto at = files_.find(key);
    if (at == files_.end()) return;
    by_age_.erase(at->second);
    files_.erase(at);
  }
  void make_room(size_t files) {
    const size_t most = options_.max_bytes / file_bytes_;
    while (!by_age_.empty() && files_.size() + files > most) {
      std::error_code ignored;
      fs::remove(path_of(by_age_.front()), ignored);
      forget_file(PrefixKey(by_age_.front()));
      ++stats_.evicted;
    }
  }

  const DiskCacheOptions options_;
  const Path folder_;
  const Sha256Digest identity_;
  const size_t file_bytes_;
  const std::function<void()> on_loaded_;

  mutable std::mutex mutex_;
  std::condition_variable work_, idle_;
  // Guarded by mutex_.
  std::list<PrefixKey> by_age_;  // used longest ago first
  std::unordered_map<PrefixKey, std::list<PrefixKey>::iterator, KeyHash> files_;
  std::deque<DiskPage> stores_, loads_, loaded_;
  size_t asked_ = 0;  // loads that were not taken yet
  bool stop_ = false, busy_ = false;
  DiskCacheStats stats_;

  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<DiskCache>> DiskCache::open(const DiskCacheOptions& options,
                                                   std::function<void()> on_loaded) {
  if (options.page_bytes == 0 || options.page_tokens <= 0) {
    return error(Code::kUnsupported, "this device's pages cannot be kept on disk");
  }
  // Pages of another model, format or size live in a folder of their own.
  const Sha256Digest name = sha256(fmt::format("{}\n{}\n{}\n{}", kVersion, options.identity,
                                               options.page_bytes, options.page_tokens));
  Path folder = options.folder / to_hex(std::span(name).first(8));
  auto cache = std::make_unique<FolderCache>(options, std::move(folder), std::move(on_loaded));
  YQ_RETURN_IF_ERROR(cache->start());
  return std::unique_ptr<DiskCache>(std::move(cache));
}

}  // namespace yunqi
