// Who may do what: the table of permissions and roles as data, and the one function that reads it.
// A route names a permission; an object names its organisation, team and owner; nothing else
// counts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace yunqi {

// Stored as the number of a bit: append, never renumber; at most 62.
enum class Permission : uint8_t {
  kInfer = 0,   // chat, completions, responses, embeddings, tokenize
  kModelsRead,  // list models
  kFilesRead,   // own files and batches, stored responses, conversations
  kFilesWrite,
  kUsageRead,  // token counts and costs
  kKeysRead,
  kKeysWrite,  // make, rotate, revoke
  kTeamsRead,
  kTeamsWrite,
  kUsersRead,
  kUsersWrite,
  kQuotasRead,
  kQuotasWrite,
  kAuditRead,
  kOrgRead,
  kOrgWrite,     // name, suspension, deletion of data
  kBillingRead,  // balances, invoices, export
  kServerRead,   // metrics, health in detail, all organisations
  kServerWrite,  // load and unload models, drain, reload, backup
  kOrgsWrite,    // make organisations, credit accounts
  kPricesWrite,
  kLedgerAudit,
  kCount,
};
inline constexpr int kPermissionCount = static_cast<int>(Permission::kCount);

enum class Role : int64_t { kViewer = 1, kMember = 2, kAdmin = 3, kOwner = 4, kOperator = 5 };
inline constexpr std::array kRoles = {Role::kViewer, Role::kMember, Role::kAdmin, Role::kOwner,
                                      Role::kOperator};

// What a permission is about, which decides whose objects it reaches.
enum class Reach : uint8_t {
  kTeam,    // objects of a team: one's own team; all teams for those of the whole organisation
  kOrg,     // objects of the organisation
  kServer,  // no organisation's: operators only
};

struct PermissionRow {
  Permission permission;
  std::string_view name;  // in APIs and audit rows
  Reach reach;
  Role least;  // the lowest role that has it; operators have Reach::kServer, and what is shared
  bool operators_too;  // an operator has it in every organisation
};

// The table. Operators run the server: they see and change accounts, never prompts or files.
inline constexpr std::array<PermissionRow, kPermissionCount> kPermissionTable = {{
    {Permission::kInfer, "infer", Reach::kTeam, Role::kMember, false},
    {Permission::kModelsRead, "models.read", Reach::kOrg, Role::kViewer, true},
    {Permission::kFilesRead, "files.read", Reach::kTeam, Role::kMember, false},
    {Permission::kFilesWrite, "files.write", Reach::kTeam, Role::kMember, false},
    {Permission::kUsageRead, "usage.read", Reach::kTeam, Role::kViewer, true},
    {Permission::kKeysRead, "keys.read", Reach::kTeam, Role::kMember, true},
    {Permission::kKeysWrite, "keys.write", Reach::kTeam, Role::kAdmin, true},
    {Permission::kTeamsRead, "teams.read", Reach::kOrg, Role::kViewer, true},
    {Permission::kTeamsWrite, "teams.write", Reach::kOrg, Role::kAdmin, true},
    {Permission::kUsersRead, "users.read", Reach::kOrg, Role::kViewer, true},
    {Permission::kUsersWrite, "users.write", Reach::kOrg, Role::kAdmin, true},
    {Permission::kQuotasRead, "quotas.read", Reach::kTeam, Role::kViewer, true},
    {Permission::kQuotasWrite, "quotas.write", Reach::kOrg, Role::kAdmin, true},
    {Permission::kAuditRead, "audit.read", Reach::kOrg, Role::kAdmin, true},
    {Permission::kOrgRead, "org.read", Reach::kOrg, Role::kViewer, true},
    {Permission::kOrgWrite, "org.write", Reach::kOrg, Role::kOwner, true},
    {Permission::kBillingRead, "billing.read", Reach::kOrg, Role::kAdmin, true},
    {Permission::kServerRead, "server.read", Reach::kServer, Role::kOperator, true},
    {Permission::kServerWrite, "server.write", Reach::kServer, Role::kOperator, true},
    {Permission::kOrgsWrite, "orgs.write", Reach::kServer, Role::kOperator, true},
    {Permission::kPricesWrite, "prices.write", Reach::kServer, Role::kOperator, true},
    {Permission::kLedgerAudit, "ledger.audit", Reach::kServer, Role::kOperator, true},
}};

constexpr const PermissionRow& row_of(Permission permission) {
  return kPermissionTable[static_cast<size_t>(permission)];
}

// A set of permissions, as stored with a key.
class Permissions {
 public:
  constexpr Permissions() = default;
  constexpr explicit Permissions(int64_t bits) : bits_(bits & kAll) {}
  static constexpr Permissions of(Role role) {
    Permissions out;
    for (const PermissionRow& row : kPermissionTable) {
      const bool has = role == Role::kOperator ? row.operators_too
                                               : row.reach != Reach::kServer && role >= row.least;
      if (has) out.add(row.permission);
    }
    return out;
  }
  constexpr void add(Permission permission) { bits_ |= bit(permission); }
  constexpr bool has(Permission permission) const { return (bits_ & bit(permission)) != 0; }
  constexpr bool is_within(Permissions other) const { return (bits_ & ~other.bits_) == 0; }
  constexpr int64_t bits() const { return bits_; }
  constexpr bool operator==(const Permissions&) const = default;

  // Names of kPermissionTable; kInvalidArgument for an unknown one.
  static Result<Permissions> parse(const std::vector<std::string>& names);
  std::vector<std::string_view> names() const;

 private:
  static constexpr int64_t kAll = (int64_t{1} << kPermissionCount) - 1;
  static constexpr int64_t bit(Permission permission) {
    return int64_t{1} << static_cast<int>(permission);
  }
  int64_t bits_ = 0;
};

enum class PrincipalKind : uint8_t { kKey, kUser, kLocal };

// Who asks: a key, a user of the page, or, where tenancy is off, whoever reached the socket.
struct Principal {
  PrincipalKind kind = PrincipalKind::kKey;
  std::string id = {};    // of the key or user
  std::string org = {};   // empty for operators
  std::string team = {};  // empty: of the whole organisation
  Permissions permissions = {};
  std::vector<std::string> models = {};    // that it may use; empty: all
  std::vector<std::string> networks = {};  // that it may come from; empty: all
  int64_t expires = 0;                     // of the key; 0: never
  int64_t weight = 100;                    // of its organisation, for fair shares
  int64_t priority = 1;                    // 0 interactive, 1 standard, 2 batch
  bool is_prepaid = false;
  bool is_operator = false;  // runs the server: reaches every organisation

  // "key:ab12" or "user:usr_x", for audit rows.
  std::string actor() const;
  bool may_use_model(std::string_view model) const;
};

// What is asked for. Empty fields are not compared: an object of the organisation has no team, the
// server's own has no organisation.
struct Object {
  std::string org = {}, team = {};
};

enum class Access : uint8_t {
  kAllowed,
  kForbidden,  // visible, but not for this principal to touch    403
  kHidden,     // another's: to this principal it does not exist  404
};

// The whole rule. Pure.
Access allowed(const Principal& principal, Permission permission, const Object& object);

// allowed() as a Status: kPermission, or kNotFound in the words of an object that is not there.
Status check_access(const Principal& principal, Permission permission, const Object& object);
// The same for what a look-up found or did not find: both answers are alike.
Status check_found(const Principal& principal, Permission permission,
                   const std::optional<Object>& object);

}  // namespace yunqi
