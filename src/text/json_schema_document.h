// A schema document with the others that it may name: URIs, anchors, and where a reference leads.
// Borrows the Json values, which must outlive it. Nothing is ever fetched.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace yunqi {

inline constexpr size_t kMaxSchemaNodes = 20'000;

// A schema by its number; see SchemaDocument::node.
using SchemaId = uint32_t;

struct SchemaNode {
  const Json* json = nullptr;
  uint32_t resource = 0;  // the document, or embedded document, that it is part of
  std::string path;       // "schema.properties.x", for errors
};

class SchemaDocument {
 public:
  // Reads `root` and `documents` (by URI). Errors name the path.
  static Result<SchemaDocument> read(const Json& root,
                                     const std::vector<std::pair<std::string, Json>>& documents);

  SchemaId root() const { return 0; }
  const SchemaNode& node(SchemaId id) const { return nodes_[id]; }
  // The node of a subschema of `parent`; `json` must lie inside it.
  Result<SchemaId> child(SchemaId parent, const Json& json, std::string_view path);
  // Where $ref leads.
  Result<SchemaId> resolve(SchemaId from, std::string_view reference);
  // Where $dynamicRef leads when `scope` are the resources entered on the way, outermost first.
  Result<SchemaId> resolve_dynamic(SchemaId from, std::string_view reference,
                                   const std::vector<uint32_t>& scope);
  bool has_dynamic_anchors() const { return has_dynamic_; }

 private:
  Status index(const Json& json, uint32_t resource, const std::string& path, int depth);
  Status index_children(const Json& json, uint32_t resource, const std::string& path, int depth);
  Result<SchemaId> add(const Json& json, uint32_t resource, std::string path);
  Result<SchemaId> pointer(uint32_t resource, std::string_view pointer);
  Result<SchemaId> find(SchemaId from, std::string_view reference, std::string* dynamic_anchor);

  struct Resource {
    std::string uri;
    const Json* root = nullptr;
    std::map<std::string, const Json*, std::less<>> anchors, dynamic_anchors;
  };
  std::vector<Resource> resources_;
  std::map<std::string, uint32_t, std::less<>> by_uri_;
  std::vector<SchemaNode> nodes_;
  std::unordered_map<const Json*, SchemaId> ids_;
  bool has_dynamic_ = false;
};

// RFC 3986 section 5.2 without the strict checks: `reference` relative to `base`, no fragment.
std::string resolve_uri(std::string_view base, std::string_view reference);

}  // namespace yunqi
