// Finding what schemas name; see json_schema_document.h.
#include "text/json_schema_document.h"

#include <algorithm>

namespace yunqi {
namespace {

constexpr int kMaxSchemaDepth = 64;  // base/json's own limit

struct Uri {
  std::string scheme, authority, path, query;
  bool has_authority = false, has_query = false;

  explicit Uri(std::string_view text) {
    text = text.substr(0, text.find('#'));
    const size_t colon = text.find_first_of(":/?");
    if (colon != std::string_view::npos && colon > 0 && text[colon] == ':') {
      scheme = text.substr(0, colon);
      text.remove_prefix(colon + 1);
    }
    if (const size_t mark = text.find('?'); mark != std::string_view::npos) {
      query = text.substr(mark + 1);
      has_query = true;
      text = text.substr(0, mark);
    }
    if (text.starts_with("//")) {
      has_authority = true;
      const size_t end = std::min(text.find('/', 2), text.size());
      authority = text.substr(2, end - 2);
      text.remove_prefix(end);
    }
    path = text;
  }

  std::string text() const {
    std::string out = scheme.empty() ? "" : scheme + ":";
    if (has_authority) out += "//" + authority;
    out += path;
    if (has_query) out += "?" + query;
    return out;
  }
};

std::string without_dots(std::string_view path) {
  std::vector<std::string_view> parts;
  size_t at = 0;
  bool ends_open = false;
  while (at <= path.size()) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    ends_open = part == "." || part == "..";
    if (part == "..") {
      if (parts.size() > 1) parts.pop_back();
    } else if (part != ".") {
      parts.push_back(part);
    }
    at = end + 1;
  }
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += '/';
    out += parts[i];
  }
  if (ends_open) out += '/';
  return out;
}

std::string percent_decoded(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
        digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

const std::string* text_of(const Json& json, std::string_view key) {
  const Json* found = json.find(key);
  return found && found->is_string() ? &found->as_string() : nullptr;
}

}  // namespace

std::string resolve_uri(std::string_view base_text, std::string_view reference) {
  const Uri base(base_text);
  Uri uri(reference);
  if (!uri.scheme.empty()) return uri.text();
  uri.scheme = base.scheme;
  if (uri.has_authority) return uri.text();
  uri.has_authority = base.has_authority;
  uri.authority = base.authority;
  if (uri.path.empty()) {
    uri.path = base.path;
    if (!uri.has_query) uri.query = base.query, uri.has_query = base.has_query;
  } else if (uri.path[0] != '/') {
    const size_t slash = base.path.rfind('/');
    const std::string folder = slash == std::string::npos ? (base.has_authority ? "/" : "")
                                                          : base.path.substr(0, slash + 1);
    uri.path = without_dots(folder + uri.path);
  } else {
    uri.path = without_dots(uri.path);
  }
  return uri.text();
}

Result<SchemaDocument> SchemaDocument::read(
    const Json& root, const std::vector<std::pair<std::string, Json>>& documents) {
  SchemaDocument out;
  out.resources_.push_back({"", &root, {}, {}});
  out.by_uri_[""] = 0;
  YQ_RETURN_IF_ERROR(out.index(root, 0, "schema", 0));
  for (const auto& [uri, json] : documents) {
    const auto number = static_cast<uint32_t>(out.resources_.size());
    const std::string name = resolve_uri("", uri);
    out.resources_.push_back({name, &json, {}, {}});
    out.by_uri_.try_emplace(name, number);
    YQ_RETURN_IF_ERROR(out.index(json, number, "documents[" + name + "]", 0));
  }
  return out;
}

Result<SchemaId> SchemaDocument::add(const Json& json, uint32_t resource, std::string path) {
  const auto [at, is_new] = ids_.try_emplace(&json, static_cast<SchemaId>(nodes_.size()));
  if (is_new) {
    if (nodes_.size() >= kMaxSchemaNodes) {
      return error(Code::kInvalidArgument, "a schema of more than {} subschemas", kMaxSchemaNodes)
          .at(path);
    }
    nodes_.push_back({&json, resource, std::move(path)});
  }
  return at->second;
}

Status SchemaDocument::index(const Json& json, uint32_t resource, const std::string& path,
                             int depth) {
  if (depth > kMaxSchemaDepth) {
    return error(Code::kInvalidArgument, "a schema nests deeper than {}", kMaxSchemaDepth).at(path);
  }
  if (!json.is_object()) return add(json, resource, path).status();
  if (const std::string* id = text_of(json, "$id")) {
    const std::string uri = resolve_uri(resources_[resource].uri, *id);
    if (resources_[resource].root == &json) {
      resources_[resource].uri = uri;  // the document's own name, beside the one it came under
    } else {
      resource = static_cast<uint32_t>(resources_.size());
      resources_.push_back({uri, &json, {}, {}});
    }
    by_uri_.try_emplace(uri, resource);
  }
  if (const std::string* anchor = text_of(json, "$anchor")) {
    resources_[resource].anchors.try_emplace(*anchor, &json);
  }
  if (const std::string* anchor = text_of(json, "$dynamicAnchor")) {
    resources_[resource].anchors.try_emplace(*anchor, &json);
    resources_[resource].dynamic_anchors.try_emplace(*anchor, &json);
    has_dynamic_ = true;
  }
  YQ_RETURN_IF_ERROR(add(json, resource, path).status());
  return index_children(json, resource, path, depth);
}

Status SchemaDocument::index_children(const Json& json, uint32_t resource, const std::string& path,
                                      int depth) {
  static constexpr std::string_view kOne[] = {"additionalProperties",
                                              "contains",
                                              "contentSchema",
                                              "else",
                                              "if",
                                              "items",
                                              "not",
                                              "propertyNames",
                                              "then",
                                              "unevaluatedItems",
                                              "unevaluatedProperties"};
  static constexpr std::string_view kLists[] = {"allOf", "anyOf", "oneOf", "prefixItems"};
  static constexpr std::string_view kMaps[] = {"$defs", "definitions", "dependentSchemas",
                                               "patternProperties", "properties"};
  for (const auto& [key, value] : json.as_object()) {
    const std::string inner = path + "." + key;
    if (std::find(std::begin(kOne), std::end(kOne), key) != std::end(kOne)) {
      YQ_RETURN_IF_ERROR(index(value, resource, inner, depth + 1));
    } else if (value.is_array() &&
               std::find(std::begin(kLists), std::end(kLists), key) != std::end(kLists)) {
      for (size_t i = 0; i < value.as_array().size(); ++i) {
        YQ_RETURN_IF_ERROR(
            index(value.as_array()[i], resource, inner + "[" + std::to_string(i) + "]", depth + 1));
      }
    } else if (value.is_object() &&
               std::find(std::begin(kMaps), std::end(kMaps), key) != std::end(kMaps)) {
      for (const auto& [name, schema] : value.as_object()) {
        YQ_RETURN_IF_ERROR(index(schema, resource, inner + "." + name, depth + 1));
      }
    }
  }
  return Status::ok();
}

Result<SchemaId> SchemaDocument::child(SchemaId parent, const Json& json, std::string_view path) {
  if (const auto at = ids_.find(&json); at != ids_.end()) return at->second;
  return add(json, nodes_[parent].resource, nodes_[parent].path + "." + std::string(path));
}

Result<SchemaId> SchemaDocument::pointer(uint32_t resource, std::string_view text) {
  const Json* json = resources_[resource].root;
  std::string path = nodes_[ids_.at(json)].path;
  const auto missing = [&] {
    return error(Code::kInvalidArgument, "$ref: nothing is at #{}", text);
  };
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '/') return missing();
    const size_t end = std::min(text.find('/', at + 1), text.size());
    std::string key;
    for (size_t i = at + 1; i < end; ++i) {
      if (text[i] == '~' && i + 1 < end && (text[i + 1] == '0' || text[i + 1] == '1')) {
        key += text[++i] == '0' ? '~' : '/';
      } else {
        key += text[i];
      }
    }
    at = end;
    if (json->is_array()) {
      const bool digits = !key.empty() && key.size() < 8 &&
                          key.find_first_not_of("0123456789") == std::string::npos;
      const size_t index = digits ? std::stoul(key) : SIZE_MAX;
      if (index >= json->as_array().size()) return missing();
      json = &json->as_array()[index];
    } else {
      json = json->find(key);
      if (json == nullptr) return missing();
    }
    path += "." + key;
    if (const auto known = ids_.find(json); known != ids_.end()) {
      resource = nodes_[known->second].resource;
    }
  }
  return add(*json, resource, std::move(path));
}

Result<SchemaId> SchemaDocument::find(SchemaId from, std::string_view reference,
                                      std::string* dynamic_anchor) {
  const std::string uri = resolve_uri(resources_[nodes_[from].resource].uri, reference);
  const size_t hash = reference.find('#');
  const std::string fragment =
      hash == std::string_view::npos ? "" : percent_decoded(reference.substr(hash + 1));
  uint32_t resource = nodes_[from].resource;
  if (uri != resources_[resource].uri) {
    const auto at = by_uri_.find(uri);
    if (at == by_uri_.end()) {
      return error(Code::kInvalidArgument,
                   "$ref: {} is not part of the schema, and nothing is fetched", uri);
    }
    resource = at->second;
  }
  if (fragment.empty() || fragment[0] == '/') return pointer(resource, fragment);
  const Resource& found = resources_[resource];
  if (const auto at = found.dynamic_anchors.find(fragment);
      at != found.dynamic_anchors.end() && dynamic_anchor) {
    *dynamic_anchor = fragment;
    return ids_.at(at->second);
  }
  if (const auto at = found.anchors.find(fragment); at != found.anchors.end()) {
    return ids_.at(at->second);
  }
  return error(Code::kInvalidArgument, "$ref: there is no anchor {} in {}", fragment,
               found.uri.empty() ? "the schema" : found.uri);
}

Result<SchemaId> SchemaDocument::resolve(SchemaId from, std::string_view reference) {
  Result<SchemaId> found = find(from, reference, nullptr);
  if (!found.is_ok()) return found.status().at(nodes_[from].path + ".$ref");
  return found;
}

Result<SchemaId> SchemaDocument::resolve_dynamic(SchemaId from, std::string_view reference,
                                                 const std::vector<uint32_t>& scope) {
  std::string anchor;
  Result<SchemaId> found = find(from, reference, &anchor);
  if (!found.is_ok()) return found.status().at(nodes_[from].path + ".$dynamicRef");
  if (anchor.empty()) return found;
  for (const uint32_t resource : scope) {
    const auto& anchors = resources_[resource].dynamic_anchors;
    if (const auto at = anchors.find(anchor); at != anchors.end()) return ids_.at(at->second);
  }
  return found;
}

}  // namespace yunqi
