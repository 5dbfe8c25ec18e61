// Each change: permission, then that it lies within its maker, then the directory.
#include "tenancy/accounts.h"

#include <algorithm>
#include <utility>

#include "store/token.h"
#include "tenancy/network.h"
#include "tenancy/password.h"
#include "tenancy/timestamp.h"

namespace yunqi {
namespace {

Status wider(std::string_view what) {
  return error(Code::kPermission, "{}: a key can't have more than its maker", what);
}

Status check_role(Role role) {
  const bool is_known = std::find(kRoles.begin(), kRoles.end(), role) != kRoles.end();
  if (is_known && role != Role::kOperator) return Status::ok();
  return error(Code::kInvalidArgument, "role: want viewer, member, admin or owner");
}

// `wanted` within `limit`, where an empty list means all.
bool is_within(const std::vector<std::string>& wanted, const std::vector<std::string>& limit) {
  return limit.empty() ||
         (!wanted.empty() && std::all_of(wanted.begin(), wanted.end(), [&](auto& w) {
           return std::find(limit.begin(), limit.end(), w) != limit.end();
         }));
}

Result<std::vector<Network>> parse_networks(const std::vector<std::string>& texts) {
  std::vector<Network> out;
  for (const std::string& text : texts) {
    YQ_TRY(const Network network, parse_network(text));
    out.push_back(network);
  }
  return out;
}

Status check_networks(const std::vector<std::string>& wanted,
                      const std::vector<std::string>& limit) {
  YQ_TRY(const std::vector<Network> networks, parse_networks(wanted));
  if (limit.empty()) return Status::ok();
  YQ_TRY(const std::vector<Network> outer, parse_networks(limit));
  const auto is_inside = [&](const Network& network) {
    return std::any_of(outer.begin(), outer.end(),
                       [&](const Network& each) { return each.contains(network); });
  };
  return std::all_of(networks.begin(), networks.end(), is_inside) ? Status::ok()
                                                                  : wider("networks");
}

// What is not asked for is the maker's; what is asked for lies within it.
Status fit_to_maker(const Principal& by, KeyRecord& key, int64_t now) {
  if (!Permissions(key.permissions).is_within(by.permissions)) return wider("permissions");
  if (key.models.empty()) key.models = by.models;
  if (!is_within(key.models, by.models)) return wider("models");
  if (key.networks.empty()) key.networks = by.networks;
  YQ_RETURN_IF_ERROR(check_networks(key.networks, by.networks));
  if (key.expires == 0) key.expires = by.expires;
  if (by.expires != 0 && key.expires > by.expires) return wider("expires");
  if (key.expires != 0 && (key.expires <= now || key.expires > kMaxTimestamp)) {
    return error(Code::kInvalidArgument, "expires: want a time to come");
  }
  return Status::ok();
}

}  // namespace

Result<NewKey> Accounts::store_key(const Principal& by, KeyRecord record) {
  KeyText fresh = make_key();
  record.id = fresh.id;
  record.creator = by.actor();
  record.digest = key_digest(pepper_, fresh.text.reveal());
  YQ_RETURN_IF_ERROR(directory_.add_key(by.actor(), record));
  cache_.forget();
  record.digest = Secret();
  return NewKey{std::move(record), std::move(fresh.text)};
}

Result<NewKey> Accounts::bootstrap() {
  YQ_TRY(const std::vector<Organisation> all, directory_.organisations());
  if (!all.empty()) {
    return error(Code::kPermission, "the server has been set up; use an operator's key");
  }
  Principal first;
  first.kind = PrincipalKind::kLocal;
  const std::string org(kServerOrg);
  YQ_RETURN_IF_ERROR(directory_.add_organisation(first.actor(), {.id = org, .name = "(server)"}));
  const Team team{.id = "team_" + random_token(16), .org = org, .name = "operators"};
  YQ_RETURN_IF_ERROR(directory_.add_team(first.actor(), team));
  return store_key(first, {.org = org,
                           .team = team.id,
                           .name = "first operator",
                           .permissions = Permissions::of(Role::kOperator).bits()});
}

Result<NewOrganisation> Accounts::add_organisation(const Principal& by, Organisation org) {
  YQ_RETURN_IF_ERROR(check_access(by, Permission::kOrgsWrite, {}));
  if (org.weight < 1 || org.weight > kMaxWeight || org.priority < 0 || org.priority > 2) {
    return error(Code::kInvalidArgument, "want a weight of 1 to {} and a priority of 0 to 2",
                 kMaxWeight);
  }
  org.id = "org_" + random_token(16);
  YQ_RETURN_IF_ERROR(directory_.add_organisation(by.actor(), org));
  Team team{.id = "team_" + random_token(16), .org = org.id, .name = "default"};
  YQ_RETURN_IF_ERROR(directory_.add_team(by.actor(), team));
  YQ_TRY(NewKey owner, store_key(by, {.org = org.id,
                                      .team = team.id,
                                      .name = "owner",
                                      .permissions = Permissions::of(Role::kOwner).bits()}));
  return NewOrganisation{std::move(org), std::move(team), std::move(owner)};
}

Status Accounts::change_organisation(const Principal& by, const Organisation& org) {
  YQ_RETURN_IF_ERROR(check_access(by, Permission::kOrgWrite, {.org = org.id}));
  YQ_TRY(const Organisation before, directory_.organisation(org.id));
  // What an organisation pays and its share of the machine is not its own to set.
  const bool is_terms = before.is_prepaid != org.is_prepaid || before.weight != org.weight ||
                        before.priority != org.priority || before.is_suspended != org.is_suspended;
  if (is_terms) YQ_RETURN_IF_ERROR(check_access(by, Permission::kOrgsWrite, {}));
  if (org.weight < 1 || org.weight > kMaxWeight || org.priority < 0 || org.priority > 2) {
    return error(Code::kInvalidArgument, "want a weight of 1 to {} and a priority of 0 to 2",
                 kMaxWeight);
  }
  YQ_RETURN_IF_ERROR(directory_.change_organisation(by.actor(), org));
  cache_.forget();
  return Status::ok();
}

Result<Team> Accounts::add_team(const Principal& by, std::string_view org, std::string_view name) {
  YQ_RETURN_IF_ERROR(check_access(by, Permission::kTeamsWrite, {.org = std::string(org)}));
  Team team{.id = "team_" + random_token(16), .org = std::string(org), .name = std::string(name)};
  YQ_RETURN_IF_ERROR(directory_.add_team(by.actor(), team));
  return team;
}

Result<NewKey> Accounts::create_key(const Principal& by, const KeyRequest& request) {
  KeyRecord key{.org = request.org.empty() ? by.org : request.org,
                .team = request.team.empty() ? by.team : request.team,
                .name = request.name,
                .permissions = request.permissions.bits(),
                .models = request.models,
                .networks = request.networks,
                .expires = request.expires};
  YQ_RETURN_IF_ERROR(check_access(by, Permission::kKeysWrite, {.org = key.org, .team = key.team}));
  YQ_RETURN_IF_ERROR(fit_to_maker(by, key, clock_.unix_seconds()));
  return store_key(by, std::move(key));
}

Result<KeyRecord> Accounts::find_key(const Principal& by, Permission permission,
                                     std::string_view org, std::string_view id) {
  auto found = directory_.key(org, id);
  if (!found.is_ok() && found.status().code() != Code::kNotFound) return found.status();
  std::optional<Object> object;
  if (found.is_ok()) object = Object{found->org, found->team};
  YQ_RETURN_IF_ERROR(check_found(by, permission, object));
  return found;
}

Result<NewKey> Accounts::rotate_key(const Principal& by, std::string_view org, std::string_view id,
                                    int64_t overlap_s) {
  YQ_TRY(KeyRecord key, find_key(by, Permission::kKeysWrite, org, id));
  if (overlap_s < 0 || overlap_s > kMaxRotationOverlap) {
    return error(Code::kInvalidArgument, "overlap: want 0 to {} seconds, found {}",
                 kMaxRotationOverlap, overlap_s);
  }
  const int64_t now = clock_.unix_seconds();
  if (key.revoked != 0) return error(Code::kInvalidArgument, "the key is revoked; make a new one");
  YQ_RETURN_IF_ERROR(fit_to_maker(by, key, now));
  key.replaces = std::string(id);
  YQ_TRY(NewKey fresh, store_key(by, std::move(key)));
  YQ_RETURN_IF_ERROR(directory_.revoke_key(by.actor(), org, id, now + overlap_s));
  cache_.forget();
  return fresh;
}

Status Accounts::revoke_key(const Principal& by, std::string_view org, std::string_view id) {
  YQ_RETURN_IF_ERROR(find_key(by, Permission::kKeysWrite, org, id).status());
  YQ_RETURN_IF_ERROR(directory_.revoke_key(by.actor(), org, id, clock_.unix_seconds()));
  cache_.forget();
  return Status::ok();
}

Result<std::vector<KeyRecord>> Accounts::keys(const Principal& by, std::string_view org) {
  YQ_RETURN_IF_ERROR(
      check_access(by, Permission::kKeysRead, {.org = std::string(org), .team = by.team}));
  YQ_TRY(std::vector<KeyRecord> found, directory_.keys(org, by.is_operator ? "" : by.team));
  for (KeyRecord& key : found) key.digest = Secret();
  return found;
}

Result<User> Accounts::add_user(const Principal& by, User user, Role role, const Secret& password) {
  YQ_RETURN_IF_ERROR(check_access(by, Permission::kUsersWrite, {.org = user.org}));
  YQ_RETURN_IF_ERROR(check_role(role));
  if (!by.is_operator && !Permissions::of(role).is_within(by.permissions)) return wider("role");
  user.id = "user_" + random_token(16);
  user.role = static_cast<int64_t>(role);
  if (!password.empty()) {
    YQ_TRY(user.password, hash_password(password));
  }
  YQ_RETURN_IF_ERROR(directory_.add_user(by.actor(), user));
  user.password = Secret();
  return user;
}

// A user whose role exceeds one's own is not one's to change.
Result<User> Accounts::find_user(const Principal& by, std::string_view org, std::string_view id) {
  auto found = directory_.user(org, id);
  if (!found.is_ok() && found.status().code() != Code::kNotFound) return found.status();
  std::optional<Object> object;
  if (found.is_ok()) object = Object{found->org, found->team};
  YQ_RETURN_IF_ERROR(check_found(by, Permission::kUsersWrite, object));
  const bool is_above = !Permissions::of(static_cast<Role>(found->role)).is_within(by.permissions);
  if (is_above && !by.is_operator) return wider("role");
  return found;
}

Status Accounts::set_password(const Principal& by, std::string_view org, std::string_view id,
                              const Secret& password) {
  const bool is_own = by.kind == PrincipalKind::kUser && by.id == id && by.org == org;
  YQ_TRY(User user, is_own ? directory_.user(org, id) : find_user(by, org, id));
  YQ_TRY(user.password, hash_password(password));
  return directory_.change_user(by.actor(), user);
}

Status Accounts::set_user_role(const Principal& by, std::string_view org, std::string_view id,
                               Role role) {
  YQ_TRY(User user, find_user(by, org, id));
  YQ_RETURN_IF_ERROR(check_role(role));
  if (!by.is_operator && !Permissions::of(role).is_within(by.permissions)) return wider("role");
  user.role = static_cast<int64_t>(role);
  return directory_.change_user(by.actor(), user);
}

Status Accounts::suspend_user(const Principal& by, std::string_view org, std::string_view id,
                              bool is_suspended) {
  YQ_TRY(User user, find_user(by, org, id));
  user.is_suspended = is_suspended;
  return directory_.change_user(by.actor(), user);
}

}  // namespace yunqi
