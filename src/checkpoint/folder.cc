// A Hugging Face folder as a Checkpoint.
#include "checkpoint/assembled.h"

namespace yunqi {

Result<std::unique_ptr<Checkpoint>> open_folder(const Path& folder, const Path& only) {
  return error(Code::kUnsupported, "{}: folders are not read yet", (folder / only).string());
}

}  // namespace yunqi
