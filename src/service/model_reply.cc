// See model_reply.h.
#include "service/model_reply.h"

#include <mutex>
#include <optional>
#include <utility>

#include "service/errors.h"

namespace yunqi {
namespace {

// Between the pool, which fills it once, and the connection, which may go first.
struct Mailbox {
  std::mutex mutex;
  std::optional<HttpReply> reply;  // guarded by mutex
  std::function<void()> wake;      // guarded by mutex
  bool abandoned = false;          // guarded by mutex
};

// Waits for the mailbox, then stands for what came.
class PendingReply final : public DeferredResponse {
 public:
  explicit PendingReply(std::shared_ptr<Mailbox> mailbox) : mailbox_(std::move(mailbox)) {}

  ~PendingReply() override {
    std::optional<HttpReply> unread;  // goes after the lock
    std::lock_guard lock(mailbox_->mutex);
    mailbox_->abandoned = true;
    mailbox_->wake = nullptr;
    unread.swap(mailbox_->reply);
  }

  void set_wake(std::function<void()> wake) override {
    wake_ = wake;
    std::lock_guard lock(mailbox_->mutex);
    mailbox_->wake = std::move(wake);
  }

  std::optional<HttpResponse> poll() override {
    if (inner_ == nullptr) {
      std::optional<HttpReply> reply;
      {
        std::lock_guard lock(mailbox_->mutex);
        reply.swap(mailbox_->reply);
      }
      if (!reply.has_value()) return std::nullopt;
      if (auto* response = std::get_if<HttpResponse>(&*reply)) return std::move(*response);
      inner_ = std::move(std::get<std::unique_ptr<DeferredResponse>>(*reply));
      inner_->set_wake(wake_);
    }
    return inner_->poll();
  }

 private:
  const std::shared_ptr<Mailbox> mailbox_;
  std::function<void()> wake_;
  std::unique_ptr<DeferredResponse> inner_;
};

}  // namespace

HttpReply reply_with_model(ModelPool& models, std::string_view name, ModelReply make) {
  const auto mailbox = std::make_shared<Mailbox>();
  models.acquire(
      name, [mailbox, make = std::move(make)](Result<std::shared_ptr<LoadedModel>> model) {
        {
          std::lock_guard lock(mailbox->mutex);
          if (mailbox->abandoned) return;
        }
        std::optional<HttpReply> reply = model.is_ok() ? make(std::move(model).value())
                                                       : HttpReply(error_response(model.status()));
        std::function<void()> wake;
        {
          std::lock_guard lock(mailbox->mutex);
          // When the client has gone meanwhile, the reply goes too, below and without the mutex.
          if (!mailbox->abandoned) mailbox->reply.swap(reply);
          wake = mailbox->wake;
        }
        if (wake) wake();
      });
  {
    std::lock_guard lock(mailbox->mutex);
    if (mailbox->reply.has_value()) return std::move(*std::exchange(mailbox->reply, std::nullopt));
  }
  return std::make_unique<PendingReply>(mailbox);
}

}  // namespace yunqi
