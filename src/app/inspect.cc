// yunqi inspect: a checkpoint's metadata and tensors, after verifying that every one decodes.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>

#include "app/command.h"
#include "app/open_model.h"
#include "checkpoint/checkpoint.h"
#include "tensor/quant.h"

namespace yunqi {
namespace {

struct InspectFlags {
  std::string model;
  bool json = false, verify = false;
};

// Decodes the tensor block by block; names the first value that is not finite.
Status verify_tensor(const Tensor& tensor) {
  const DTypeInfo& info = dtype_info(tensor.dtype);
  constexpr int64_t kChunkBlocks = 4096;
  const int64_t chunk = kChunkBlocks * info.block_elements;
  std::vector<float> values(static_cast<size_t>(chunk));
  for (int64_t begin = 0; begin < tensor.elements(); begin += chunk) {
    const int64_t count = std::min(chunk, tensor.elements() - begin);
    const size_t offset =
        static_cast<size_t>(begin / info.block_elements * static_cast<int64_t>(info.block_bytes));
    const size_t bytes =
        static_cast<size_t>(*dtype_bytes(tensor.dtype, static_cast<uint64_t>(count)));
    const std::span<float> out(values.data(), static_cast<size_t>(count));
    YQ_RETURN_IF_ERROR(dequantize(tensor.dtype, tensor.bytes.subspan(offset, bytes), out));
    for (int64_t i = 0; i < count; ++i) {
      if (std::isfinite(out[static_cast<size_t>(i)])) continue;
      return error(Code::kBadFile, "{}: want finite values, element {} is {}", tensor.name,
                   begin + i, out[static_cast<size_t>(i)]);
    }
  }
  return Status::ok();
}

Json to_json(const Checkpoint& checkpoint) {
  Json tensors = Json::array();
  for (const Tensor& tensor : checkpoint.tensors()) {
    Json shape = Json::array();
    for (const int64_t dim : tensor.shape) shape.push_back(Json(dim));
    tensors.push_back(Json::object({{"name", tensor.name},
                                    {"dtype", dtype_info(tensor.dtype).name},
                                    {"shape", std::move(shape)},
                                    {"bytes", static_cast<int64_t>(tensor.bytes.size())}}));
  }
  return Json::object({{"format", checkpoint.format()},
                       {"config", checkpoint.config()},
                       {"generation_config", checkpoint.generation_config()},
                       {"metadata", checkpoint.metadata()},
                       {"tensors", std::move(tensors)}});
}

Status inspect(const InspectFlags& flags) {
  YQ_TRY(const InstalledModel installed, resolve_model(flags.model));
  YQ_TRY(const std::unique_ptr<Checkpoint> checkpoint, Checkpoint::open(installed.path));
  if (flags.verify) {
    for (const Tensor& tensor : checkpoint->tensors()) YQ_RETURN_IF_ERROR(verify_tensor(tensor));
  }
  if (flags.json) {
    std::printf("%s\n", to_json(*checkpoint).dump().c_str());
    return Status::ok();
  }
  std::printf("%s: %.*s\nconfig %s\ngeneration %s\nmetadata %s\n", installed.path.c_str(),
              static_cast<int>(checkpoint->format().size()), checkpoint->format().data(),
              checkpoint->config().dump_pretty().c_str(),
              checkpoint->generation_config().dump().c_str(),
              checkpoint->metadata().dump_pretty().c_str());
  std::map<std::string_view, uint64_t> bytes_by_type;
  uint64_t total = 0;
  for (const Tensor& tensor : checkpoint->tensors()) {
    std::printf("%-56s %s\n", tensor.name.c_str(), tensor.describe().c_str());
    bytes_by_type[dtype_info(tensor.dtype).name] += tensor.bytes.size();
    total += tensor.bytes.size();
  }
  std::printf("%zu tensors, %.1f MB:", checkpoint->tensors().size(),
              static_cast<double>(total) / 1e6);
  for (const auto& [name, bytes] : bytes_by_type) {
    std::printf(" %.*s %.1f", static_cast<int>(name.size()), name.data(),
                static_cast<double>(bytes) / 1e6);
  }
  std::printf("%s\n", flags.verify ? "; every value is finite" : "");
  return Status::ok();
}

}  // namespace

void add_inspect_command(CLI::App& root, Action& action) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App& command = *root.add_subcommand("inspect", "A checkpoint's metadata and tensors");
  command.add_option("model", flags->model, "file, folder or name")->required();
  command.add_flag("--json", flags->json, "one JSON object");
  command.add_flag("--verify", flags->verify, "decode every tensor and look for bad values");
  command.callback([&action, flags] { action = [flags] { return inspect(*flags); }; });
}

}  // namespace yunqi
