// See request_call.h.
#include "http/request_call.h"

#include "base/log.h"
#include "http/response_head.h"

namespace yunqi {

RequestScope::RequestScope(ServerShared& shared) : shared_(shared) {
  std::lock_guard lock(shared_.mutex);
  ++shared_.running;
  undrained_ = !shared_.draining.load();
  if (undrained_) ++shared_.running_undrained;
}

RequestScope::~RequestScope() {
  std::lock_guard lock(shared_.mutex);
  --shared_.running;
  if (undrained_) --shared_.running_undrained;
  shared_.changed.notify_all();
}

Status BodyCharge::add(uint64_t bytes) {
  bytes_ += bytes;
  const uint64_t total = shared_->body_bytes.fetch_add(bytes) + bytes;
  if (total <= shared_->options.max_total_body_bytes) return Status::ok();
  return error(Code::kUnavailable, "too many large requests at once; try again later");
}

void RequestCall::run(ServerShared& shared) {
  if (abandoned_.load()) return;
  std::string_view failure;
  try {
    reply_ = shared.handler(request_);
  } catch (const std::exception& caught) {
    failure = caught.what();
    log_error("request {}: the handler failed: {}", request_.id, failure);
  } catch (...) {
    failure = "unknown";
    log_error("request {}: the handler failed", request_.id);
  }
  if (!failure.empty()) reply_ = internal_error_response(shared.error_body);
  done_.store(true, std::memory_order_release);
  bell_->ring();
}

}  // namespace yunqi
