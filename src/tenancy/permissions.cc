// The rule over the table. What is not allowed by a line here is refused.
#include "tenancy/permissions.h"

#include <algorithm>

namespace yunqi {
namespace {

constexpr bool is_table_in_order() {
  for (size_t i = 0; i < kPermissionTable.size(); ++i) {
    if (static_cast<size_t>(kPermissionTable[i].permission) != i) return false;
  }
  return true;
}
static_assert(is_table_in_order() && kPermissionCount <= 62);

Status not_found() { return error(Code::kNotFound, "there is no such object"); }

}  // namespace

Result<Permissions> Permissions::parse(const std::vector<std::string>& names) {
  Permissions out;
  for (const std::string& name : names) {
    const auto* row = std::find_if(kPermissionTable.begin(), kPermissionTable.end(),
                                   [&](const PermissionRow& entry) { return entry.name == name; });
    if (row == kPermissionTable.end()) {
      return error(Code::kInvalidArgument, "unknown permission \"{}\"", name.substr(0, 64));
    }
    out.add(row->permission);
  }
  return out;
}

std::vector<std::string_view> Permissions::names() const {
  std::vector<std::string_view> out;
  for (const PermissionRow& row : kPermissionTable) {
    if (has(row.permission)) out.push_back(row.name);
  }
  return out;
}

std::string Principal::actor() const {
  switch (kind) {
    case PrincipalKind::kKey:
      return "key:" + id;
    case PrincipalKind::kUser:
      return "user:" + id;
    case PrincipalKind::kLocal:
      return "local";
  }
  return "local";
}

bool Principal::may_use_model(std::string_view model) const {
  return models.empty() || std::find(models.begin(), models.end(), model) != models.end();
}

Access allowed(const Principal& principal, Permission permission, const Object& object) {
  const PermissionRow& row = row_of(permission);
  if (row.reach == Reach::kServer) {
    return principal.is_operator && principal.permissions.has(permission) ? Access::kAllowed
                                                                          : Access::kForbidden;
  }
  // Whether it is seen at all comes first: a refusal must not tell that it exists.
  if (!principal.is_operator && object.org != principal.org) return Access::kHidden;
  const bool is_other_team =
      row.reach == Reach::kTeam && !principal.team.empty() && object.team != principal.team;
  if (is_other_team) return Access::kHidden;
  return principal.permissions.has(permission) ? Access::kAllowed : Access::kForbidden;
}

Status check_access(const Principal& principal, Permission permission, const Object& object) {
  switch (allowed(principal, permission, object)) {
    case Access::kAllowed:
      return Status::ok();
    case Access::kForbidden:
      return error(Code::kPermission, "this needs the permission \"{}\"", row_of(permission).name);
    case Access::kHidden:
      return not_found();
  }
  return not_found();
}

Status check_found(const Principal& principal, Permission permission,
                   const std::optional<Object>& object) {
  return object ? check_access(principal, permission, *object) : not_found();
}

}  // namespace yunqi
