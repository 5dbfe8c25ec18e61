// Replies that need a model: at once when it is loaded, else when the pool has loaded it, without
// holding a worker thread meanwhile.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "http/server.h"
#include "runtime/model_pool.h"

namespace yunqi {

// Called once with a loaded model, on this thread or on one of the pool; not called when the
// client has gone before. Must be copyable.
using ModelReply = std::function<HttpReply(std::shared_ptr<LoadedModel>)>;

// What `make` makes of the model, or the error why there is none.
HttpReply reply_with_model(ModelPool& models, std::string_view name, ModelReply make);

}  // namespace yunqi
