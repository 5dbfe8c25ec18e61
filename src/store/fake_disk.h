// A disk in memory for SQLite, as a VFS, whose power can be cut: what was not synced is then lost,
// kept or torn, sector by sector, as a seeded generator decides. For tests; one disk a test.
#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace yunqi {

class FakeDisk {
 public:
  explicit FakeDisk(std::string name) : name_(std::move(name)) {
    vfs_ = *sqlite3_vfs_find(nullptr);
    vfs_.pNext = nullptr;
    vfs_.zName = name_.c_str();
    vfs_.pAppData = this;
    vfs_.szOsFile = sizeof(Handle);
    vfs_.xOpen = open;
    vfs_.xDelete = remove;
    vfs_.xAccess = access;
    vfs_.xFullPathname = full_path;
    sqlite3_vfs_register(&vfs_, 0);
  }
  ~FakeDisk() { sqlite3_vfs_unregister(&vfs_); }
  FakeDisk(const FakeDisk&) = delete;
  FakeDisk& operator=(const FakeDisk&) = delete;

  const std::string& name() const { return name_; }
  // After so many more writes and syncs every operation fails, as on a machine without power.
  void cut_power_after(int64_t operations) {
    std::lock_guard held(mutex_);
    operations_left_ = operations;
  }
  bool is_off() const {
    std::lock_guard held(mutex_);
    return operations_left_ == 0;
  }
  // Starts again with what survived; no connection may be open.
  void restore_power(std::mt19937_64& random) {
    std::lock_guard held(mutex_);
    operations_left_ = -1;
    for (auto& [path, file] : files_) {
      std::string survived = file->synced;
      for (const Write& write : file->pending) {
        if (random() % 3 != 0) continue;
        // Sectors of one write reach the disk or not, each by itself.
        for (size_t at = 0; at < write.bytes.size(); at += kSector) {
          if (random() % 4 == 0) continue;
          const size_t count = std::min(kSector, write.bytes.size() - at);
          survived.resize(std::max(survived.size(), write.offset + at + count));
          std::memcpy(survived.data() + write.offset + at, write.bytes.data() + at, count);
        }
      }
      file->bytes = file->synced = std::move(survived);
      file->pending.clear();
      file->shared_memory.clear();
    }
  }
  // From now on every write fails for want of space, or no longer does.
  void set_full(bool is_full) {
    std::lock_guard held(mutex_);
    is_full_ = is_full;
  }
  // From now on every sync fails: the disk is dying.
  void fail_syncs() {
    std::lock_guard held(mutex_);
    syncs_fail_ = true;
  }
  int64_t syncs() const {
    std::lock_guard held(mutex_);
    return syncs_;
  }

 private:
  static constexpr size_t kSector = 512;
  struct Write {
    size_t offset;
    std::string bytes;
  };
  struct File {
    std::string bytes, synced;
    std::vector<Write> pending;
    std::map<int, std::unique_ptr<std::string>> shared_memory;
    std::array<int, SQLITE_SHM_NLOCK> shared_locks{};
    std::array<bool, SQLITE_SHM_NLOCK> exclusive_locks{};
  };
  struct Handle {
    sqlite3_file base;
    FakeDisk* disk;
    File* file;
    std::array<char, SQLITE_SHM_NLOCK> held;  // per slot: 0, 's' or 'x'
  };
  static Handle& of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }
  static FakeDisk& of(sqlite3_vfs* vfs) { return *static_cast<FakeDisk*>(vfs->pAppData); }

  // Counts an operation; false when there is no power for it. Call with mutex_ held.
  bool use_power() {
    if (operations_left_ < 0) return true;
    if (operations_left_ == 0) return false;
    --operations_left_;
    return operations_left_ > 0;
  }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out) {
    FakeDisk& disk = of(vfs);
    std::lock_guard held(disk.mutex_);
    static const std::string kNameless = "(nameless)";
    auto& entry = disk.files_[path == nullptr ? kNameless : path];
    if (entry == nullptr) entry = std::make_unique<File>();
    Handle& handle = of(file);
    handle.disk = &disk;
    handle.file = entry.get();
    handle.held.fill(0);
    handle.base.pMethods = methods();
    if (out != nullptr) *out = flags;
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* vfs, const char* path, int) {
    FakeDisk& disk = of(vfs);
    std::lock_guard held(disk.mutex_);
    if (!disk.use_power()) return SQLITE_IOERR_DELETE;
    const auto found = disk.files_.find(path);
    // Handles keep their file; it becomes empty, as a new one of that name would be.
    if (found != disk.files_.end()) {
      found->second->bytes.clear();
      found->second->synced.clear();
      found->second->pending.clear();
    }
    return SQLITE_OK;
  }
  static int access(sqlite3_vfs* vfs, const char* path, int, int* out) {
    FakeDisk& disk = of(vfs);
    std::lock_guard held(disk.mutex_);
    const auto found = disk.files_.find(path);
    *out = found != disk.files_.end() && !found->second->bytes.empty() ? 1 : 0;
    return SQLITE_OK;
  }
  static int full_path(sqlite3_vfs*, const char* path, int size, char* out) {
    std::snprintf(out, static_cast<size_t>(size), "%s", path);
    return SQLITE_OK;
  }

  static int read(sqlite3_file* file, void* out, int count, sqlite3_int64 offset) {
    Handle& handle = of(file);
    std::lock_guard held(handle.disk->mutex_);
    const std::string& bytes = handle.file->bytes;
    const auto at = std::min(static_cast<size_t>(offset), bytes.size());
    const size_t have = std::min(static_cast<size_t>(count), bytes.size() - at);
    std::memcpy(out, bytes.data() + at, have);
    if (have == static_cast<size_t>(count)) return SQLITE_OK;
    std::memset(static_cast<char*>(out) + have, 0, static_cast<size_t>(count) - have);
    return SQLITE_IOERR_SHORT_READ;
  }
  static int write(sqlite3_file* file, const void* data, int count, sqlite3_int64 offset) {
    Handle& handle = of(file);
    std::lock_guard held(handle.disk->mutex_);
    if (handle.disk->is_full_) return SQLITE_FULL;
    const bool is_whole = handle.disk->use_power();
    std::string text(static_cast<const char*>(data), static_cast<size_t>(count));
    std::string& bytes = handle.file->bytes;
    const auto at = static_cast<size_t>(offset);
    bytes.resize(std::max(bytes.size(), at + text.size()));
    std::memcpy(bytes.data() + at, text.data(), text.size());
    handle.file->pending.push_back({at, std::move(text)});
    return is_whole ? SQLITE_OK : SQLITE_IOERR_WRITE;
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    Handle& handle = of(file);
    std::lock_guard held(handle.disk->mutex_);
    if (!handle.disk->use_power()) return SQLITE_IOERR_TRUNCATE;
    handle.file->bytes.resize(static_cast<size_t>(size));
    handle.file->synced.resize(std::min(handle.file->synced.size(), static_cast<size_t>(size)));
    return SQLITE_OK;
  }
  static int sync(sqlite3_file* file, int) {
    Handle& handle = of(file);
    std::lock_guard held(handle.disk->mutex_);
    ++handle.disk->syncs_;
    if (handle.disk->syncs_fail_ || !handle.disk->use_power()) return SQLITE_IOERR_FSYNC;
    handle.file->synced = handle.file->bytes;
    handle.file->pending.clear();
    return SQLITE_OK;
  }
  static int size(sqlite3_file* file, sqlite3_int64* out) {
    Handle& handle = of(file);
    std::lock_guard held(handle.disk->mutex_);
    *out = static_cast<sqlite3_int64>(handle.file->bytes.size());
    return SQLITE_OK;
  }
  static int close(sqlite3_file*) { return SQLITE_OK; }
  // One process opens a database, so its file locks have no one to exclude.
  static int lock(sqlite3_file*, int) { return SQLITE_OK; }
  static int is_reserved(sqlite3_file*, int* out) {
    *out = 0;
    return SQLITE_OK;
  }
  static int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector_size(sqlite3_file*) { return static_cast<int>(kSector); }
  static int characteristics(sqlite3_file*) { return 0; }

  // The index of the WAL, shared by this process's connections.
  static void* shared_page(sqlite3_file* file, int page, int bytes, bool may_extend) {
    Handle& handle = of(file);
    std::lock_guard held(handle.disk->mutex_);
    auto& entry = handle.file->shared_memory[page];
    if (entry == nullptr && may_extend) {
      entry = std::make_unique<std::string>(static_cast<size_t>(bytes), '\0');
    }
    return entry == nullptr ? nullptr : entry->data();
  }
  static int lock_shared(sqlite3_file* file, int first, int count, int flags) {
    Handle& handle = of(file);
    File& own = *handle.file;
    std::lock_guard held(handle.disk->mutex_);
    const bool is_exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    for (auto slot = static_cast<size_t>(first); slot < static_cast<size_t>(first + count);
         ++slot) {
      const bool is_mine = handle.held[slot] != 0;
      if ((flags & SQLITE_SHM_UNLOCK) != 0 || is_mine) continue;
      if (own.exclusive_locks[slot] || (is_exclusive && own.shared_locks[slot] > 0)) {
        return SQLITE_BUSY;
      }
    }
    for (auto slot = static_cast<size_t>(first); slot < static_cast<size_t>(first + count);
         ++slot) {
      release(handle, slot);
      if ((flags & SQLITE_SHM_UNLOCK) != 0) continue;
      handle.held[slot] = is_exclusive ? 'x' : 's';
      if (is_exclusive) {
        own.exclusive_locks[slot] = true;
      } else {
        ++own.shared_locks[slot];
      }
    }
    return SQLITE_OK;
  }
  static void release(Handle& handle, size_t slot) {
    if (handle.held[slot] == 'x') handle.file->exclusive_locks[slot] = false;
    if (handle.held[slot] == 's') --handle.file->shared_locks[slot];
    handle.held[slot] = 0;
  }
  static int unmap_shared(sqlite3_file* file, int) {
    Handle& handle = of(file);
    std::lock_guard held(handle.disk->mutex_);
    for (size_t slot = 0; slot < handle.held.size(); ++slot) release(handle, slot);
    return SQLITE_OK;
  }

  static const sqlite3_io_methods* methods() {
    static const sqlite3_io_methods kMethods = [] {
      sqlite3_io_methods out{};
      out.iVersion = 2;
      out.xClose = close;
      out.xRead = read;
      out.xWrite = write;
      out.xTruncate = truncate;
      out.xSync = sync;
      out.xFileSize = size;
      out.xLock = lock;
      out.xUnlock = lock;
      out.xCheckReservedLock = is_reserved;
      out.xFileControl = control;
      out.xSectorSize = sector_size;
      out.xDeviceCharacteristics = characteristics;
      // The pointer's qualifier is deduced: nothing else here would need to name it.
      out.xShmMap = [](sqlite3_file* file, int page, int bytes, int extend, auto address) {
        *address = shared_page(file, page, bytes, extend != 0);
        return SQLITE_OK;
      };
      out.xShmLock = lock_shared;
      out.xShmBarrier = [](sqlite3_file*) {};
      out.xShmUnmap = unmap_shared;
      return out;
    }();
    return &kMethods;
  }

  std::string name_;
  sqlite3_vfs vfs_{};
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<File>> files_;
  int64_t operations_left_ = -1;  // -1: power for ever
  int64_t syncs_ = 0;
  bool is_full_ = false, syncs_fail_ = false;
};

}  // namespace yunqi
