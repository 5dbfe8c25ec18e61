// str(), repr() and json.dumps() as Python writes them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "base/utf8.h"
#include "text/jinja_ast.h"
#include "text/jinja_builtin.h"
#include "text/jinja_interpreter.h"
#include "text/jinja_runtime.h"
#include "text/jinja_unicode.h"

namespace yunqi::jinja {
namespace {

class ReprWriter {
 public:
  explicit ReprWriter(Runtime& runtime) : runtime_(runtime) {}
  std::string out;
  bool user = false;

  Status write(const Value& value, int depth) {
    YQ_RETURN_IF_ERROR(runtime_.charge(1));
    YQ_RETURN_IF_ERROR(runtime_.check_depth(depth));
    switch (value.kind) {
      case Kind::kMissing:
      case Kind::kUndefined:
        out += "Undefined";
        break;
      case Kind::kNone:
        out += "None";
        break;
      case Kind::kBool:
        out += value.boolean ? "True" : "False";
        break;
      case Kind::kInt:
        out += fmt::format("{}", value.integer);
        break;
      case Kind::kBigInt:
        out += fmt::format("{}", value.natural);
        break;
      case Kind::kFloat:
        out += float_repr(value.real);
        break;
      case Kind::kString:
        return write_string(*value.str);
      case Kind::kList:
        return write_items(value.list->items, "[", "]", depth);
      case Kind::kTuple:
        return write_items(value.list->items, "(", value.list->items.size() == 1 ? ",)" : ")",
                           depth);
      case Kind::kDict:
        return write_dict(*value.dict, depth);
      case Kind::kDictView:
        return write_view(*value.view, depth);
      case Kind::kNamespace:
        out += "<Namespace ";
        YQ_RETURN_IF_ERROR(write_dict(*value.dict, depth));
        out += ">";
        break;
      default:
        write_object(value);
    }
    return Status::ok();
  }

 private:
  Status write_items(const std::vector<Value>& items, std::string_view open, std::string_view close,
                     int depth) {
    out += open;
    bool first = true;
    for (const Value& item : items) {
      if (!first) out += ", ";
      first = false;
      YQ_RETURN_IF_ERROR(write(item, depth + 1));
    }
    out += close;
    return Status::ok();
  }

  Status write_dict(const DictObject& dict, int depth) {
    out += "{";
    bool first = true;
    for (const auto& [key, value] : dict.items) {
      if (!first) out += ", ";
      first = false;
      YQ_RETURN_IF_ERROR(write(key, depth + 1));
      out += ": ";
      YQ_RETURN_IF_ERROR(write(value, depth + 1));
    }
    out += "}";
    return Status::ok();
  }

  Status write_view(const DictView& view, int depth) {
    static constexpr const char* kNames[] = {"dict_keys([", "dict_values([", "dict_items(["};
    out += kNames[static_cast<int>(view.part)];
    bool first = true;
    for (const auto& [key, value] : view.dict->items) {
      if (!first) out += ", ";
      first = false;
      if (view.part == DictView::Part::kItems) out += "(";
      if (view.part != DictView::Part::kValues) YQ_RETURN_IF_ERROR(write(key, depth + 1));
      if (view.part == DictView::Part::kItems) out += ", ";
      if (view.part != DictView::Part::kKeys) YQ_RETURN_IF_ERROR(write(value, depth + 1));
      if (view.part == DictView::Part::kItems) out += ")";
    }
    out += "])";
    return Status::ok();
  }

  void write_object(const Value& value) {
    if (value.is(Kind::kRange)) {
      const RangeObject& range = *value.range;
      out += fmt::format("range({}, {}", range.start, range.stop);
      out += range.step == 1 ? ")" : fmt::format(", {})", range.step);
    } else if (value.is(Kind::kMacro)) {
      out += fmt::format("<Macro '{}'>", value.macro->node->text);
    } else {
      out += fmt::format("<{} object>", type_name(value));
    }
  }

  Status write_string(const Str& str) {
    YQ_RETURN_IF_ERROR(runtime_.charge_text(str.text.size()));
    user = user || str.user;
    const bool has_single = str.text.find('\'') != std::string_view::npos;
    const bool has_double = str.text.find('"') != std::string_view::npos;
    const char quote = has_single && !has_double ? '"' : '\'';
    if (str.markup) out += "Markup(";
    out += quote;
    for (std::string_view rest = str.text; !rest.empty();) {
      const Utf8Char c = decode_utf8(rest);
      write_char(c.code_point, quote, rest.substr(0, c.length));
      rest.remove_prefix(c.length);
    }
    out += quote;
    if (str.markup) out += ")";
    return Status::ok();
  }

  void write_char(char32_t c, char quote, std::string_view bytes) {
    if (c == '\\' || c == static_cast<char32_t>(quote)) {
      out += '\\';
      out += bytes;
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (c < 0x20 || c == 0x7F || (c >= 0x80 && !is_in(CharClass::kPrintable, c))) {
      const auto code = static_cast<uint32_t>(c);
      if (code < 0x100) {
        out += fmt::format("\\x{:02x}", code);
      } else {
        out += code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
      }
    } else {
      out += bytes;
    }
  }

  Runtime& runtime_;
};

class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const JsonFormat& format) : runtime_(runtime), format_(format) {}
  std::string out;
  bool user = false;

  Status write(const Value& value, int depth) {
    YQ_RETURN_IF_ERROR(runtime_.charge(1));
    YQ_RETURN_IF_ERROR(runtime_.check_depth(depth));
    switch (value.kind) {
      case Kind::kString:
        return write_string(*value.str);
      case Kind::kList:
      case Kind::kTuple:
        return write_array(value.list->items, depth);
      case Kind::kDict:
        return write_object(value, depth);
      default: {
        const auto scalar = scalar_text(value);
        if (scalar.empty()) {
          return template_error("object of type {} is not JSON serializable", type_name(value));
        }
        out += scalar;
        return Status::ok();
      }
    }
  }

 private:
  static std::string scalar_text(const Value& value) {
    switch (value.kind) {
      case Kind::kNone:
        return "null";
      case Kind::kBool:
        return value.boolean ? "true" : "false";
      case Kind::kInt:
        return fmt::format("{}", value.integer);
      case Kind::kBigInt:
        return fmt::format("{}", value.natural);
      case Kind::kFloat:
        if (std::isnan(value.real)) return "NaN";
        if (std::isinf(value.real)) return value.real > 0 ? "Infinity" : "-Infinity";
        return float_repr(value.real);
      default:
        return {};
    }
  }

  Status new_line(int depth) {
    if (!format_.has_indent) return Status::ok();
    const auto times = static_cast<size_t>(depth);
    YQ_RETURN_IF_ERROR(runtime_.charge_text(times * format_.indent.size()));
    out += '\n';
    for (size_t i = 0; i < times; ++i) out += format_.indent;
    return Status::ok();
  }

  Status write_array(const std::vector<Value>& items, int depth) {
    if (items.empty()) {
      out += "[]";
      return Status::ok();
    }
    out += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += format_.item_separator;
      YQ_RETURN_IF_ERROR(new_line(depth + 1));
      YQ_RETURN_IF_ERROR(write(items[i], depth + 1));
    }
    YQ_RETURN_IF_ERROR(new_line(depth));
    out += ']';
    return Status::ok();
  }

  Status write_object(const Value& value, int depth) {
    if (value.dict->items.empty()) {
      out += "{}";
      return Status::ok();
    }
    std::vector<DictItem> items = value.dict->items;
    if (format_.sort_keys) YQ_RETURN_IF_ERROR(sort(items));
    out += '{';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += format_.item_separator;
      YQ_RETURN_IF_ERROR(new_line(depth + 1));
      YQ_RETURN_IF_ERROR(write_key(items[i].first));
      out += format_.key_separator;
      YQ_RETURN_IF_ERROR(write(items[i].second, depth + 1));
    }
    YQ_RETURN_IF_ERROR(new_line(depth));
    out += '}';
    return Status::ok();
  }

  Status sort(std::vector<DictItem>& items) {
    for (const auto& item : items) {
      if (!item.first.is_string()) return template_error("sort_keys wants keys that are strings");
    }
    YQ_RETURN_IF_ERROR(runtime_.charge(items.size() * 8));
    std::stable_sort(items.begin(), items.end(), [](const DictItem& a, const DictItem& b) {
      return a.first.str->text < b.first.str->text;
    });
    return Status::ok();
  }

  Status write_key(const Value& key) {
    if (key.is_string()) return write_string(*key.str);
    const std::string text = scalar_text(key);
    if (text.empty()) {
      return template_error("keys must be str, int, float, bool or None, not {}", type_name(key));
    }
    out += '"' + text + '"';
    return Status::ok();
  }

  Status write_string(const Str& str) {
    YQ_RETURN_IF_ERROR(runtime_.charge_text(str.text.size()));
    user = user || (str.user && !str.text.empty());
    out += '"';
    for (std::string_view rest = str.text; !rest.empty();) {
      const auto byte = static_cast<unsigned char>(rest.front());
      size_t length = 1;
      if (byte < 0x80) {
        write_ascii(rest.front());
      } else {
        const Utf8Char c = decode_utf8(rest);
        length = c.length;
        if (format_.ensure_ascii) {
          write_escaped(c.code_point);
        } else {
          out += rest.substr(0, length);
        }
      }
      rest.remove_prefix(length);
    }
    out += '"';
    return Status::ok();
  }

  void write_ascii(char c) {
    static constexpr std::string_view kPlain = "\"\\\n\r\t\f\b", kLetters = "\"\\nrtfb";
    const size_t found = kPlain.find(c);
    if (found != std::string_view::npos) {
      out += '\\';
      out += kLetters[found];
    } else if (static_cast<unsigned char>(c) < 0x20 || (c == 0x7F && format_.ensure_ascii)) {
      write_escaped(static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }

  void write_escaped(char32_t c) {
    auto code = static_cast<uint32_t>(c);
    if (code >= 0x10000) {
      code -= 0x10000;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF));
    } else {
      out += fmt::format("\\u{:04x}", code);
    }
  }

  Runtime& runtime_;
  const JsonFormat& format_;
};

}  // namespace

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return format_double(value);
}

Status append_repr(Runtime& runtime, TextBuilder& out, const Value& value) {
  ReprWriter writer(runtime);
  YQ_RETURN_IF_ERROR(writer.write(value, 0));
  YQ_RETURN_IF_ERROR(runtime.charge_text(writer.out.size()));
  out.append(writer.out, writer.user);
  return Status::ok();
}

Status append_str(Runtime& runtime, TextBuilder& out, const Value& value) {
  if (value.is(Kind::kUndefined)) return Status::ok();
  if (!value.is_string()) return append_repr(runtime, out, value);
  YQ_RETURN_IF_ERROR(runtime.charge_text(value.str->text.size()));
  out.append(*value.str);
  return Status::ok();
}

Result<const Str*> to_str(Runtime& runtime, const Value& value) {
  if (value.is_string()) return value.str;
  TextBuilder out;
  YQ_RETURN_IF_ERROR(append_str(runtime, out, value));
  return runtime.add(std::move(out)).str;
}

Result<Value> to_json(Runtime& runtime, const Value& value, const JsonFormat& format) {
  JsonWriter writer(runtime, format);
  YQ_RETURN_IF_ERROR(writer.write(value, 0));
  YQ_RETURN_IF_ERROR(runtime.charge_text(writer.out.size()));
  return runtime.add(std::move(writer.out), writer.user);
}

}  // namespace yunqi::jinja
