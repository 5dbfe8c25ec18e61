// See model_pool.h. Everything about a model is in its Slot, under one mutex; loads, unloads and
// callbacks run without it.
#include "runtime/model_pool.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace yunqi {
namespace {

constexpr int64_t kMs = 1'000'000;
// How often idle models and waits are looked at.
constexpr auto kTick = std::chrono::milliseconds(250);

struct Waiter {
  ModelPool::Ready ready;
  int64_t deadline_ns = 0;
  uint64_t order = 0;
};

struct Slot {
  ModelSource source;
  ModelState state = ModelState::kUnloaded;
  std::shared_ptr<LoadedModel> model;  // of kReady
  std::shared_ptr<LoadProgress> progress;
  Status failure;            // of kFailed: what clients are told
  Status cause;              // of kFailed: what the load said
  int64_t failed_ns = 0;     // of kFailed
  int64_t users = 0;         // what acquire() gave and is not dropped yet
  int64_t last_used_ns = 0;  // of kReady
  std::vector<Waiter> waiters;

  bool answers_to(std::string_view name) const {
    return source.id == name ||
           std::find(source.aliases.begin(), source.aliases.end(), name) != source.aliases.end();
  }
};

// Callbacks to be made when the mutex is free.
struct Answers {
  std::vector<ModelPool::Ready> ready;
  Status why;
};

Status not_in_time(const Slot& slot) {
  if (slot.state == ModelState::kLoading) {
    return error(Code::kUnavailable, "the model {} is still loading ({:.0f} %); try again later",
                 slot.source.id, 100 * slot.progress->share());
  }
  return error(Code::kUnavailable,
               "the model {} waits for memory that other models use; try again later",
               slot.source.id);
}

}  // namespace

std::string_view model_state_name(ModelState state) {
  switch (state) {
    case ModelState::kUnloaded:
      return "unloaded";
    case ModelState::kLoading:
      return "loading";
    case ModelState::kReady:
      return "ready";
    case ModelState::kUnloading:
      return "unloading";
    case ModelState::kFailed:
      return "failed";
  }
  return "unloaded";
}

struct ModelPool::State : std::enable_shared_from_this<ModelPool::State> {
  State(ModelPoolOptions options_in, const Clock& clock_in, MetricsRegistry* metrics_in)
      : options(options_in), clock(clock_in), metrics(metrics_in) {}

  // Needs the mutex, as all below that do not say otherwise.
  Slot* find(std::string_view name) const {
    if (name.empty()) return slots.empty() ? nullptr : slots.front().get();
    for (const auto& slot : slots) {
      if (slot->answers_to(name)) return slot.get();
    }
    return nullptr;
  }

  Status unknown(std::string_view name) const {
    std::string known;
    for (const auto& slot : slots) {
      known += (known.empty() ? "" : ", ") + slot->source.id;
      for (const std::string& alias : slot->source.aliases) known += ", " + alias;
    }
    return error(Code::kNotFound, "the model {} does not exist here; this server has {}", name,
                 known)
        .at("model");
  }

  Status take(ModelSource source, std::shared_ptr<LoadedModel> model) {
    std::vector<std::string> names = source.aliases;
    names.push_back(source.id);
    std::lock_guard lock(mutex);
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string& name = names[i];
      const auto next = names.begin() + static_cast<ptrdiff_t>(i) + 1;
      if (name.empty()) return error(Code::kInvalidArgument, "a model's name can't be empty");
      if (std::find(next, names.end(), name) != names.end()) {
        return error(Code::kInvalidArgument, "the model name {} is given twice", name);
      }
      if (find(name) != nullptr) {
        return error(Code::kInvalidArgument, "the model name {} is already in use", name);
      }
    }
    auto slot = std::make_unique<Slot>();
    slot->source = std::move(source);
    slots.push_back(std::move(slot));
    if (model != nullptr) make_ready(*slots.back(), std::move(model));
    return Status::ok();
  }

  void make_ready(Slot& slot, std::shared_ptr<LoadedModel> model) {
    const LoadedModel::Parts& parts = model->parts();
    if (parts.weight_bytes > 0) slot.source.bytes = parts.weight_bytes + parts.kv_bytes;
    slot.model = std::move(model);
    slot.state = ModelState::kReady;
    slot.last_used_ns = clock.now_ns();
    show(slot);
  }

  // A handle that counts as a use for as long as it is kept.
  std::shared_ptr<LoadedModel> lend(Slot& slot) {
    ++slot.users;
    slot.last_used_ns = clock.now_ns();
    LoadedModel* model = slot.model.get();
    return std::shared_ptr<LoadedModel>(
        model, [self = shared_from_this(), &slot, owner = slot.model](LoadedModel*) mutable {
          owner.reset();  // first: who sees no users may unload
          std::lock_guard lock(self->mutex);
          --slot.users;
          slot.last_used_ns = self->clock.now_ns();
          self->changed.notify_all();
        });
  }

  void show(const Slot& slot) const {
    if (metrics == nullptr) return;
    const MetricLabels labels = {{"model_name", slot.source.id}};
    const bool ready = slot.state == ModelState::kReady;
    metrics->gauge("yunqi_model_loaded", "1 when the model is ready, else 0.", labels)
        .set(ready ? 1 : 0);
    metrics->gauge("yunqi_model_bytes", "Memory planned for the loaded model.", labels)
        .set(ready ? static_cast<double>(slot.source.bytes) : 0);
  }

  void count(const Slot& slot, const char* what) const {
    if (metrics == nullptr) return;
    metrics
        ->counter("yunqi_model_loads_total", "Loads and unloads of models, by how they ended.",
                  {{"model_name", slot.source.id}, {"event", what}})
        .add();
  }

  bool is_idle(const Slot& slot) const {
    return slot.state == ModelState::kReady && !slot.source.pinned && slot.users == 0 &&
           slot.waiters.empty() && slot.model.use_count() == 1;
  }

  uint64_t bytes_in_use() const {
    uint64_t bytes = 0;
    for (const auto& slot : slots) {
      const bool holds = slot->state == ModelState::kReady || slot->state == ModelState::kLoading ||
                         slot->state == ModelState::kUnloading;
      if (holds) bytes += slot->source.bytes;
    }
    return bytes;
  }

  int64_t loaded() const {
    return std::count_if(slots.begin(), slots.end(),
                         [](const auto& slot) { return slot->state == ModelState::kReady; });
  }

  // The idle model that was used longest ago, or null.
  Slot* least_recent() const {
    Slot* found = nullptr;
    for (const auto& slot : slots) {
      if (is_idle(*slot) && (found == nullptr || slot->last_used_ns < found->last_used_ns)) {
        found = slot.get();
      }
    }
    return found;
  }

  Slot* overdue(int64_t now) const {
    for (const auto& slot : slots) {
      const int64_t keep = slot->source.keep_alive_ms;
      if (keep > 0 && is_idle(*slot) && now - slot->last_used_ns >= keep * kMs) return slot.get();
    }
    return nullptr;
  }

  // The model whose first request has waited longest, or null.
  Slot* next_wanted() const {
    Slot* found = nullptr;
    for (const auto& slot : slots) {
      const bool loadable =
          slot->state == ModelState::kUnloaded || slot->state == ModelState::kFailed;
      if (!loadable || slot->waiters.empty()) continue;
      if (found == nullptr || slot->waiters.front().order < found->waiters.front().order) {
        found = slot.get();
      }
    }
    return found;
  }

  // What work() should do now: unload `victim`, else load `wanted`, else nothing.
  struct Task {
    Slot* victim = nullptr;
    Slot* wanted = nullptr;
  };
  Task next_task() const {
    Task task;
    task.victim = overdue(clock.now_ns());
    if (task.victim != nullptr) return task;
    task.wanted = next_wanted();
    const uint64_t need = task.wanted != nullptr ? task.wanted->source.bytes : 0;
    // Too large for the budget even alone: try, and let the load say what is missing.
    if (options.memory_bytes == 0 || bytes_in_use() + need <= options.memory_bytes) return task;
    // One model alone stays, whatever it takes.
    const bool alone = task.wanted == nullptr && loaded() <= 1;
    if (!alone) task.victim = least_recent();
    if (task.victim == nullptr && bytes_in_use() > 0) task.wanted = nullptr;
    return task;
  }

  void unload(std::unique_lock<std::mutex>& lock, Slot& slot) {
    slot.state = ModelState::kUnloading;
    std::shared_ptr<LoadedModel> model = std::move(slot.model);
    lock.unlock();
    model.reset();
    lock.lock();
    slot.state = ModelState::kUnloaded;
    show(slot);
    count(slot, "unloaded");
    changed.notify_all();
  }

  void load(std::unique_lock<std::mutex>& lock, Slot& slot) {
    slot.state = ModelState::kLoading;
    slot.progress = std::make_shared<LoadProgress>();
    lock.unlock();
    Result<std::shared_ptr<LoadedModel>> loaded = slot.source.load(slot.progress);
    lock.lock();
    std::vector<std::pair<Ready, std::shared_ptr<LoadedModel>>> served;
    Answers failed;
    if (loaded.is_ok()) {
      make_ready(slot, std::move(loaded).value());
      count(slot, "loaded");
      for (Waiter& waiter : slot.waiters) served.emplace_back(std::move(waiter.ready), lend(slot));
    } else {
      slot.state = ModelState::kFailed;
      slot.failure = error(Code::kUnavailable, "the model {} can't be loaded: {}", slot.source.id,
                           loaded.status().message());
      slot.cause = loaded.status();
      slot.failed_ns = clock.now_ns();
      count(slot, "failed");
      for (Waiter& waiter : slot.waiters) failed.ready.push_back(std::move(waiter.ready));
      failed.why = slot.failure;
    }
    slot.waiters.clear();
    changed.notify_all();
    lock.unlock();
    for (auto& [ready, model] : served) ready(std::move(model));
    for (const Ready& ready : failed.ready) ready(failed.why);
    // What they hold may be the last to let go of a model, and that takes the mutex.
    served.clear();
    failed.ready.clear();
    lock.lock();
  }

  size_t waiting() const {
    size_t count = 0;
    for (const auto& slot : slots) count += slot->waiters.size();
    return count;
  }

  bool work_once(std::unique_lock<std::mutex>& lock) {
    const Task task = next_task();
    if (task.victim != nullptr) {
      unload(lock, *task.victim);
    } else if (task.wanted != nullptr) {
      load(lock, *task.wanted);
    }
    return task.victim != nullptr || task.wanted != nullptr;
  }

  void run_work() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      if (!work_once(lock)) changed.wait_for(lock, kTick);
    }
  }

  void run_expiry() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      expire(lock, clock.now_ns());
      changed.wait_for(lock, kTick);
    }
  }

  void expire(std::unique_lock<std::mutex>& lock, int64_t now) {
    std::vector<Answers> all;
    for (const auto& slot : slots) {
      Answers late;
      const auto first =
          std::stable_partition(slot->waiters.begin(), slot->waiters.end(),
                                [&](const Waiter& waiter) { return waiter.deadline_ns > now; });
      for (auto at = first; at != slot->waiters.end(); ++at) {
        late.ready.push_back(std::move(at->ready));
      }
      if (late.ready.empty()) continue;
      slot->waiters.erase(first, slot->waiters.end());
      late.why = not_in_time(*slot);
      all.push_back(std::move(late));
    }
    if (all.empty()) return;
    lock.unlock();
    for (const Answers& late : all) {
      for (const Ready& ready : late.ready) ready(late.why);
    }
    all.clear();
    lock.lock();
  }

  Entry describe(const Slot& slot) const {
    Entry out;
    out.id = slot.source.id;
    out.aliases = slot.source.aliases;
    out.state = slot.state;
    if (slot.state == ModelState::kLoading) out.progress = slot.progress->share();
    if (slot.state == ModelState::kFailed) out.failure = slot.failure.message();
    out.users = slot.users;
    out.waiting = static_cast<int64_t>(slot.waiters.size());
    out.bytes = slot.source.bytes;
    out.model = slot.model;
    if (slot.state == ModelState::kReady && slot.source.keep_alive_ms > 0 && !slot.source.pinned) {
      const int64_t idle_ms = slot.users > 0 ? 0 : (clock.now_ns() - slot.last_used_ns) / kMs;
      out.unload_in_ms = std::max<int64_t>(slot.source.keep_alive_ms - idle_ms, 0);
    }
    return out;
  }

  const ModelPoolOptions options;
  const Clock& clock;
  MetricsRegistry* const metrics;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::unique_ptr<Slot>> slots;  // guarded by mutex; slots are never removed
  uint64_t orders = 0;                       // guarded by mutex
  bool stopping = false;                     // guarded by mutex
  std::thread worker, timer;                 // started with the first model to be loaded
};

ModelPool::ModelPool(ModelPoolOptions options, const Clock& clock, MetricsRegistry* metrics)
    : state_(std::make_shared<State>(options, clock, metrics)) {}

ModelPool::~ModelPool() {
  shutdown();
  std::vector<std::shared_ptr<LoadedModel>> models;  // go without the mutex
  std::lock_guard lock(state_->mutex);
  for (const auto& slot : state_->slots) models.push_back(std::move(slot->model));
}

void ModelPool::shutdown() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->changed.notify_all();
  }
  if (state_->worker.joinable()) state_->worker.join();
  if (state_->timer.joinable()) state_->timer.join();
  std::vector<Ready> left;
  {
    std::lock_guard lock(state_->mutex);
    for (const auto& slot : state_->slots) {
      for (Waiter& waiter : slot->waiters) left.push_back(std::move(waiter.ready));
      slot->waiters.clear();
    }
  }
  for (const Ready& ready : left) {
    ready(error(Code::kUnavailable, "the server is shutting down; try again later"));
  }
}

Status ModelPool::add(std::shared_ptr<LoadedModel> model, std::vector<std::string> aliases) {
  ModelSource source;
  source.id = model->id();
  source.aliases = std::move(aliases);
  source.pinned = true;
  return state_->take(std::move(source), std::move(model));
}

Status ModelPool::declare(ModelSource source) {
  YQ_RETURN_IF_ERROR(state_->take(std::move(source), nullptr));
  std::lock_guard lock(state_->mutex);
  if (state_->options.threads && !state_->worker.joinable()) {
    state_->worker = std::thread([state = state_.get()] { state->run_work(); });
    state_->timer = std::thread([state = state_.get()] { state->run_expiry(); });
  }
  return Status::ok();
}

void ModelPool::acquire(std::string_view name, Ready ready) {
  std::optional<Result<std::shared_ptr<LoadedModel>>> answer;
  {
    State& state = *state_;
    std::lock_guard lock(state.mutex);
    const int64_t now = state.clock.now_ns();
    Slot* slot = state.find(name);
    if (slot == nullptr) {
      answer = state.unknown(name);
    } else if (slot->state == ModelState::kReady) {
      answer = state.lend(*slot);
    } else if (state.stopping) {
      answer = error(Code::kUnavailable, "the server is shutting down; try again later");
    } else if (slot->state == ModelState::kFailed &&
               now - slot->failed_ns < state.options.retry_ms * kMs) {
      answer = slot->failure;
    } else if (state.waiting() >= state.options.max_waiting) {
      answer = error(Code::kUnavailable, "{} requests wait for models already; try again later",
                     state.options.max_waiting);
    } else {
      slot->waiters.push_back(
          {std::move(ready), now + state.options.load_wait_ms * kMs, ++state.orders});
      state.changed.notify_all();
    }
  }
  if (answer.has_value()) ready(*std::move(answer));
}

Result<std::shared_ptr<LoadedModel>> ModelPool::load(std::string_view name) {
  while (true) {
    auto promise = std::make_shared<std::promise<Result<std::shared_ptr<LoadedModel>>>>();
    std::future<Result<std::shared_ptr<LoadedModel>>> answer = promise->get_future();
    acquire(name, [promise](Result<std::shared_ptr<LoadedModel>> model) {
      promise->set_value(std::move(model));
    });
    Result<std::shared_ptr<LoadedModel>> model = answer.get();
    if (model.is_ok()) return model;
    std::lock_guard lock(state_->mutex);
    const Slot* slot = state_->find(name);
    if (slot == nullptr) return model;
    if (slot->state == ModelState::kFailed) return slot->cause;
    // A wait that ended while the model is still being loaded goes on.
    if (slot->state != ModelState::kLoading) return model;
  }
}

std::vector<ModelPool::Entry> ModelPool::entries() const {
  std::lock_guard lock(state_->mutex);
  std::vector<Entry> out;
  for (const auto& slot : state_->slots) out.push_back(state_->describe(*slot));
  return out;
}

Result<ModelPool::Entry> ModelPool::entry(std::string_view name) const {
  std::lock_guard lock(state_->mutex);
  const Slot* slot = state_->find(name);
  if (slot == nullptr) return state_->unknown(name);
  return state_->describe(*slot);
}

bool ModelPool::work() {
  std::unique_lock lock(state_->mutex);
  return state_->work_once(lock);
}

void ModelPool::expire() {
  std::unique_lock lock(state_->mutex);
  state_->expire(lock, state_->clock.now_ns());
}

}  // namespace yunqi
