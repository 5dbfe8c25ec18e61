// Pages between memory and the disk tier: full pages go out as they come to be; those that a
// waiting request could use come in before it is admitted. Part of EngineCore.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "engine/engine_core.h"

namespace yunqi {
namespace {

constexpr int32_t kMaxFetching = 8;             // requests that wait for the disk at once
constexpr int64_t kMaxFetchNs = 2'000'000'000;  // that one waits for it

}  // namespace

// Without a disk tier everything works, only not as fast after a restart.
void EngineCore::open_disk() {
  if (!options_.prefix_cache || scheduler_.states().enabled()) return;
  DiskCacheOptions options;
  options.folder = options_.cache_dir;
  options.max_bytes = options_.cache_dir_bytes;
  options.identity = options_.cache_identity;
  options.page_bytes = executor_->page_bytes();
  options.page_tokens = limits().page_tokens;
  auto disk = DiskCache::open(options, [bell = doorbell_] { bell->ring(); });
  if (disk.is_ok()) {
    disk_ = std::move(disk).value();
  } else {
    log_warning("no pages are kept on disk: {}", disk.status().message());
  }
}

void EngineCore::store_pages() {
  const PrefixCache& cache = scheduler_.cache();
  for (const Scheduler::FreshPage& fresh : scheduler_.fresh()) {
    if (!cache.contains(fresh.page) || cache.key(fresh.page) != fresh.key ||
        !disk_->wants(fresh.key)) {
      continue;
    }
    DiskPage page;
    page.key = fresh.key;
    const int32_t parent = cache.parent(fresh.page);
    if (parent >= 0) page.parent = cache.key(parent);
    const auto tokens = cache.tokens(fresh.page);
    page.tokens.assign(tokens.begin(), tokens.end());
    page.bytes.resize(executor_->page_bytes());
    if (executor_->read_page(fresh.page, page.bytes).is_ok()) disk_->store(std::move(page));
  }
  scheduler_.forget_fresh();
}

// What came joins the cache, if somebody still waits for exactly that.
void EngineCore::take_loaded() {
  while (auto page = disk_->take_loaded()) {
    std::erase(from_disk_, page->key);
    if (page->bytes.size() != executor_->page_bytes()) continue;
    const auto fill = [&](int32_t into) {
      return executor_->write_page(into, page->bytes).is_ok();
    };
    for (Sequence* sequence : scheduler_.waiting()) {
      if (scheduler_.adopt(*sequence, page->key, fill)) {
        ++totals_.disk_pages;
        metrics_.disk_pages.add();
        break;
      }
    }
  }
}

// Asks for what the request lacks, each page once; it waits while some of that is on its way, but
// not for ever.
void EngineCore::fetch(Job& job, int64_t now) {
  Sequence& sequence = job.sequence;
  sequence.loading = false;
  if (job.fetch_until_ns == 0) job.fetch_until_ns = now + kMaxFetchNs;
  if (now >= job.fetch_until_ns) {
    job.fetch_done = true;
    return;
  }
  const int32_t pages = scheduler_.cacheable_pages(sequence);
  for (int32_t page = scheduler_.found_pages(sequence); page < pages; ++page) {
    const PrefixKey key = scheduler_.key_of(sequence, page);
    if (std::ranges::find(from_disk_, key) == from_disk_.end()) {
      if (page < job.fetched || !disk_->contains(key)) break;
      const PrefixKey parent = page == 0 ? PrefixKey{} : scheduler_.key_of(sequence, page - 1);
      if (!disk_->load(key, parent, scheduler_.page_tokens(sequence, page))) {
        sequence.loading = !from_disk_.empty();
        return;
      }
      from_disk_.push_back(key);
      job.fetched = page + 1;
    }
    sequence.loading = true;
  }
  job.fetch_done = !sequence.loading;
}

void EngineCore::fetch_pages(int64_t now) {
  take_loaded();
  int32_t loading = 0;
  for (const Sequence* waiting : scheduler_.waiting()) {
    if (loading >= kMaxFetching) return;
    Job& job = job_of(waiting->id);
    if (job.fetch_done || waiting->paused()) continue;
    fetch(job, now);
    loading += waiting->loading ? 1 : 0;
  }
}

}  // namespace yunqi
