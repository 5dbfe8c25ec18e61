// Picks the reader for a path; what a Tensor says about itself.
#include "checkpoint/checkpoint.h"

#include <fmt/ranges.h>

#include "checkpoint/assembled.h"

namespace yunqi {

int64_t Tensor::elements() const {
  int64_t product = 1;  // can't wrap: readers refuse shapes whose product does
  for (const int64_t dimension : shape) product *= dimension;
  return product;
}

std::string Tensor::describe() const {
  return fmt::format("[{}] {}", fmt::join(shape, ", "), dtype_info(dtype).name);
}

Result<std::unique_ptr<Checkpoint>> Checkpoint::open(const Path& path) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (!std::filesystem::exists(status)) {
    return error(Code::kNotFound, "{}: no such file or folder", path.string());
  }
  if (std::filesystem::is_directory(status)) return open_folder(path, {});
  const std::string extension = path.extension().string();
  if (extension == ".gguf") return open_gguf(path);
  if (extension == ".safetensors") return open_folder(path.parent_path(), path.filename());
  return error(Code::kUnsupported,
               "{}: want a .gguf or .safetensors file or a folder with config.json", path.string());
}

}  // namespace yunqi
