// See request.h.
#include "engine/request.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"

namespace yunqi {

std::optional<TokenEvent> TokenStream::next() {
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [this] { return count_ > 0 || finished_taken_; });
  return take(lock);
}

std::optional<TokenEvent> TokenStream::try_next() {
  std::unique_lock lock(mutex_);
  return take(lock);
}

std::optional<TokenEvent> TokenStream::take(std::unique_lock<std::mutex>& lock) {
  if (count_ == 0) return std::nullopt;
  std::optional<TokenEvent> event(std::move(ring_[head_]));
  head_ = (head_ + 1) % ring_.size();
  --count_;
  finished_taken_ = event->kind == TokenEvent::Kind::kFinished;
  const bool ring_bell = kCapacity - count_ == kResumeRoom;
  if (finished_taken_) ready_.notify_all();
  lock.unlock();
  if (ring_bell && doorbell_ != nullptr) doorbell_->ring();
  return event;
}

void TokenStream::set_listener(std::function<void()> listener) {
  std::shared_ptr<const std::function<void()>> shared;
  if (listener) shared = std::make_shared<const std::function<void()>>(std::move(listener));
  bool waiting = false;
  {
    const std::lock_guard lock(mutex_);
    listener_ = shared;
    waiting = count_ > 0;
  }
  if (waiting && shared != nullptr) (*shared)();
}

void TokenStream::cancel() {
  if (!cancelled_.exchange(true, std::memory_order_acq_rel) && doorbell_ != nullptr) {
    doorbell_->ring();
  }
}

size_t TokenStream::room() const {
  const std::lock_guard lock(mutex_);
  return count_ < kCapacity ? kCapacity - count_ : 0;
}

void TokenStream::push(TokenEvent event) {
  std::shared_ptr<const std::function<void()>> listener;
  {
    const std::lock_guard lock(mutex_);
    const bool finished = event.kind == TokenEvent::Kind::kFinished;
    YQ_CHECK(!finished_pushed_ && (finished || count_ < kCapacity), "{} events wait", count_);
    finished_pushed_ = finished;
    if (count_ == ring_.size()) grow();
    ring_[(head_ + count_) % ring_.size()] = std::move(event);
    ++count_;
    listener = listener_;
  }
  ready_.notify_one();
  if (listener != nullptr) (*listener)();
}

void TokenStream::grow() {
  std::vector<TokenEvent> larger(std::min(std::max<size_t>(16, ring_.size() * 2), kCapacity + 1));
  for (size_t i = 0; i < count_; ++i) {
    larger[i] = std::move(ring_[(head_ + i) % ring_.size()]);
  }
  ring_ = std::move(larger);
  head_ = 0;
}

void Doorbell::ring() {
  {
    const std::lock_guard lock(mutex_);
    rung_ = true;
  }
  rung_changed_.notify_one();
}

void Doorbell::wait(int64_t timeout_ns) {
  std::unique_lock lock(mutex_);
  const auto is_rung = [this] { return rung_; };
  if (timeout_ns < 0) {
    rung_changed_.wait(lock, is_rung);
  } else {
    rung_changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), is_rung);
  }
  rung_ = false;
}

}  // namespace yunqi
