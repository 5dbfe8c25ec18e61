// See fields.h. One thread.
#include "model/fields.h"

#include <algorithm>

#include "tensor/quant.h"

namespace yunqi {
namespace {

constexpr size_t kMaxProblems = 8;  // named in one message; the rest are counted

std::string shape_text(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

bool decodes_to_floats(DType dtype) {
  switch (dtype) {
    case DType::kF64:
    case DType::kI64:
    case DType::kI32:
    case DType::kI16:
    case DType::kI8:
    case DType::kU8:
    case DType::kBool:
      return false;
    default:
      return true;
  }
}

// Tensors that some exporters leave in a file although nothing reads them: the rotary table, and
// the copy of a tied output matrix.
bool is_redundant(std::string_view name) {
  return name.ends_with("rotary_emb.inv_freq") || name == "lm_head.weight";
}

// The values of a small tensor, appended.
Status append_floats(const Tensor& tensor, std::vector<float>& out) {
  const size_t begin = out.size();
  out.resize(begin + static_cast<size_t>(tensor.elements()));
  return dequantize(tensor.dtype, tensor.bytes, std::span(out).subspan(begin))
      .with_context(tensor.name);
}

}  // namespace

void FieldChecker::vector(std::string_view name, int64_t size, VectorWeight&) {
  check(full_name(name), {size});
}

void FieldChecker::matrix(std::initializer_list<MatrixPart> parts, const MatrixShape& shape,
                          MatrixWeight&) {
  for (const MatrixPart& part : parts) {
    const std::string name = full_name(part.name);
    check(name + ".weight", {part.rows, shape.columns});
    if (shape.bias) check(name + ".bias", {part.rows});
  }
}

void FieldChecker::check(std::string name, std::initializer_list<int64_t> shape) {
  const Tensor* tensor = checkpoint_.find(name);
  if (tensor == nullptr) {
    problems_.push_back(fmt::format("{}: want {}, found none", name, shape_text(shape)));
  } else if (!std::ranges::equal(tensor->shape, shape)) {
    problems_.push_back(
        fmt::format("{}: want {}, found {}", name, shape_text(shape), tensor->describe()));
  } else if (!decodes_to_floats(tensor->dtype)) {
    problems_.push_back(
        fmt::format("{}: want a float or block type, found {}", name, tensor->describe()));
  } else {
    parameters_ += static_cast<uint64_t>(tensor->elements());
    bytes_ += shape.size() == 1 ? static_cast<uint64_t>(tensor->elements()) * sizeof(float)
                                : tensor->bytes.size();
  }
  used_.push_back(std::move(name));
}

// A tensor that the forward pass would not read changes what the model means: say so.
void FieldChecker::add_unused() {
  std::ranges::sort(used_);
  for (const Tensor& tensor : checkpoint_.tensors()) {
    if (!std::ranges::binary_search(used_, tensor.name) && !is_redundant(tensor.name)) {
      problems_.push_back(fmt::format("{}: not part of this architecture, found {}", tensor.name,
                                      tensor.describe()));
    }
  }
}

Status FieldChecker::finish() {
  add_unused();
  if (problems_.empty()) return Status::ok();
  const size_t shown = std::min(problems_.size(), kMaxProblems);
  std::string text = fmt::format(
      "{}",
      fmt::join(problems_.begin(), problems_.begin() + static_cast<std::ptrdiff_t>(shown), "; "));
  if (shown < problems_.size()) text += fmt::format("; and {} more", problems_.size() - shown);
  return error(Code::kBadFile, "the tensors do not fit the config: {}", text);
}

void FieldLoader::vector(std::string_view name, int64_t, VectorWeight& out) {
  if (status_.is_ok()) status_ = load_vector(full_name(name), out);
}

void FieldLoader::matrix(std::initializer_list<MatrixPart> parts, const MatrixShape& shape,
                         MatrixWeight& out) {
  if (status_.is_ok()) status_ = load_matrix(parts, shape, out);
}

Status FieldLoader::load_vector(const std::string& name, VectorWeight& out) {
  const Tensor* tensor = checkpoint_.find(name);
  YQ_CHECK(tensor != nullptr, "{} was not checked", name);
  const auto size = static_cast<size_t>(tensor->elements());
  YQ_TRY(out.storage, device_.allocate(size * sizeof(float)));
  const std::span<float> values(reinterpret_cast<float*>(out.storage.data()), size);
  YQ_RETURN_IF_ERROR(dequantize(tensor->dtype, tensor->bytes, values).with_context(name));
  out.values = values;
  bytes_ += values.size_bytes();
  return Status::ok();
}

Status FieldLoader::load_matrix(std::initializer_list<MatrixPart> parts, const MatrixShape& shape,
                                MatrixWeight& out) {
  std::vector<WeightSource> sources;
  std::vector<float> bias;
  for (const MatrixPart& part : parts) {
    const std::string name = full_name(part.name);
    const Tensor* weight = checkpoint_.find(name + ".weight");
    YQ_CHECK(weight != nullptr, "{} was not checked", name);
    sources.push_back({.dtype = weight->dtype,
                       .rows = part.rows,
                       .columns = shape.columns,
                       .bytes = weight->bytes,
                       .name = weight->name});
    if (!shape.bias) continue;
    const Tensor* values = checkpoint_.find(name + ".bias");
    YQ_CHECK(values != nullptr, "the bias of {} was not checked", name);
    YQ_RETURN_IF_ERROR(append_floats(*values, bias));
  }
  YQ_TRY(out, device_.prepare(sources, bias, numerics_));
  bytes_ += out->bytes() + bias.size() * sizeof(float);
  return Status::ok();
}

void FieldLister::vector(std::string_view name, int64_t size, VectorWeight&) {
  fields_.push_back({full_name(name), {size}});
}

void FieldLister::matrix(std::initializer_list<MatrixPart> parts, const MatrixShape& shape,
                         MatrixWeight&) {
  for (const MatrixPart& part : parts) {
    const std::string name = full_name(part.name);
    fields_.push_back({name + ".weight", {part.rows, shape.columns}});
    if (shape.bias) fields_.push_back({name + ".bias", {part.rows}});
  }
}

}  // namespace yunqi
