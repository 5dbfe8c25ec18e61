// The matrix of every permission, role, and place of an object, generated from the table.
#include "tenancy/permissions.h"

#include <gtest/gtest.h>

namespace yunqi {
namespace {

struct Place {
  const char* name;
  const char* org;
  const char* team;
};
// Seen from a principal of org_a, team_a.
constexpr Place kPlaces[] = {
    {"own team", "org_a", "team_a"},   {"other team", "org_a", "team_b"}, {"own org", "org_a", ""},
    {"second org", "org_b", "team_a"}, {"third org", "org_c", ""},        {"server", "", ""},
};

Principal principal_of(Role role, std::string team) {
  Principal out;
  out.id = "x";
  out.is_operator = role == Role::kOperator;
  out.org = out.is_operator ? "" : "org_a";
  out.team = out.is_operator ? "" : std::move(team);
  out.permissions = Permissions::of(role);
  return out;
}

TEST(Permissions, EveryRoleHasWhatTheRolesBelowItHave) {
  for (size_t i = 1; i + 1 < kRoles.size(); ++i) {
    EXPECT_TRUE(Permissions::of(kRoles[i - 1]).is_within(Permissions::of(kRoles[i])));
  }
  // No role of a tenant reaches the server, and no operator a tenant's content.
  for (const PermissionRow& row : kPermissionTable) {
    if (row.reach == Reach::kServer) {
      EXPECT_FALSE(Permissions::of(Role::kOwner).has(row.permission));
    }
  }
  const Permissions op = Permissions::of(Role::kOperator);
  EXPECT_FALSE(op.has(Permission::kInfer) || op.has(Permission::kFilesRead) ||
               op.has(Permission::kFilesWrite));
}

// The expectation is worked out from the place and the row, not by the rule's own code.
Access expected(Role role, bool has_team, const PermissionRow& row, const Place& place) {
  const bool is_operator = role == Role::kOperator;
  const bool has = is_operator ? row.operators_too
                               : row.reach != Reach::kServer &&
                                     static_cast<int64_t>(role) >= static_cast<int64_t>(row.least);
  const Access by_role = has ? Access::kAllowed : Access::kForbidden;
  if (is_operator || row.reach == Reach::kServer) return by_role;
  const std::string name = place.name;
  if (name == "second org" || name == "third org" || name == "server") return Access::kHidden;
  const bool hides = has_team && row.reach == Reach::kTeam && name != "own team";
  return hides ? Access::kHidden : by_role;
}

TEST(Permissions, TheMatrixIsAsTheTableSays) {
  int cells = 0;
  for (const Role role : kRoles) {
    for (const bool has_team : {false, true}) {
      const Principal principal = principal_of(role, has_team ? "team_a" : "");
      for (const PermissionRow& row : kPermissionTable) {
        for (const Place& place : kPlaces) {
          const Access found = allowed(principal, row.permission, {place.org, place.team});
          EXPECT_EQ(found, expected(role, has_team, row, place))
              << "role " << static_cast<int64_t>(role) << ", " << row.name << ", " << place.name;
          ++cells;
        }
      }
    }
  }
  EXPECT_EQ(cells, 5 * 2 * kPermissionCount * 6);
}

TEST(Permissions, AnotherTenantsObjectAnswersAsAnAbsentOne) {
  const Principal owner = principal_of(Role::kOwner, "");
  const Principal viewer = principal_of(Role::kViewer, "");
  for (const Principal& principal : {owner, viewer}) {
    for (const PermissionRow& row : kPermissionTable) {
      if (row.reach == Reach::kServer) continue;
      const Status foreign =
          check_found(principal, row.permission, Object{.org = "org_b", .team = "team_b"});
      const Status absent = check_found(principal, row.permission, std::nullopt);
      EXPECT_EQ(foreign.to_string(), absent.to_string()) << row.name;
      EXPECT_EQ(foreign.code(), Code::kNotFound);
    }
  }
}

TEST(Permissions, AKeyWithoutTheBitIsForbiddenWhateverItsOrganisation) {
  Principal key = principal_of(Role::kOwner, "team_a");
  key.permissions = Permissions();
  for (const PermissionRow& row : kPermissionTable) {
    EXPECT_EQ(check_access(key, row.permission, {"org_a", "team_a"}).code(), Code::kPermission);
  }
  // Bits for the server do not make an operator.
  key.permissions = Permissions(-1);
  EXPECT_EQ(allowed(key, Permission::kServerWrite, {}), Access::kForbidden);
}

TEST(Permissions, NamesGoBothWaysAndUnknownOnesAreNamed) {
  const Permissions admin = Permissions::of(Role::kAdmin);
  std::vector<std::string> names;
  for (const auto name : admin.names()) names.emplace_back(name);
  EXPECT_EQ(*Permissions::parse(names), admin);
  const auto unknown = Permissions::parse({"infer", "root"});
  EXPECT_EQ(unknown.status().code(), Code::kInvalidArgument);
  EXPECT_NE(unknown.status().message().find("root"), std::string::npos);
}

}  // namespace
}  // namespace yunqi
