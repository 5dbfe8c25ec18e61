// Changes to who there is, on behalf of a principal: what may be made never exceeds its maker. Each
// call checks permission first and is written to the audit log. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/directory.h"
#include "tenancy/access_cache.h"
#include "tenancy/api_key.h"
#include "tenancy/permissions.h"

namespace yunqi {

inline constexpr std::string_view kServerOrg = "org_server";  // of those who run the server
inline constexpr int64_t kMaxRotationOverlap = 30 * 86'400;   // seconds
inline constexpr int64_t kMaxWeight = 10'000;

struct KeyRequest {
  std::string org = {};   // empty: the maker's
  std::string team = {};  // empty: the maker's
  std::string name = {};
  Permissions permissions = {};
  std::vector<std::string> models = {};    // empty: the maker's
  std::vector<std::string> networks = {};  // empty: the maker's
  int64_t expires = 0;                     // seconds since 1970; 0: with the maker, or never
};

// The one time that a key's text is seen.
struct NewKey {
  KeyRecord record;
  Secret text;
};

struct NewOrganisation {
  Organisation org;
  Team team;     // "default"
  NewKey owner;  // a key with the owner's permissions
};

class Accounts {
 public:
  // All outlive it.
  Accounts(Directory& directory, AccessCache& cache, const Clock& clock, Secret pepper)
      : directory_(directory), cache_(cache), clock_(clock), pepper_(std::move(pepper)) {}

  // The first key of a server: an operator's. kPermission when there is an organisation already.
  Result<NewKey> bootstrap();

  // Operators. The owner's key is the one way by which a tenant's rights begin.
  Result<NewOrganisation> add_organisation(const Principal& by, Organisation org);
  Status change_organisation(const Principal& by, const Organisation& org);

  Result<Team> add_team(const Principal& by, std::string_view org, std::string_view name);

  // Scopes, models, networks and expiry lie within the maker's: kPermission otherwise.
  Result<NewKey> create_key(const Principal& by, const KeyRequest& request);
  // A new key with the same rights; the old one works for `overlap_s` more seconds.
  Result<NewKey> rotate_key(const Principal& by, std::string_view org, std::string_view id,
                            int64_t overlap_s);
  Status revoke_key(const Principal& by, std::string_view org, std::string_view id);
  // Without digests. Of one team, or of all that `by` may see.
  Result<std::vector<KeyRecord>> keys(const Principal& by, std::string_view org);

  // The role lies within the maker's permissions. An empty password forbids password log-in.
  Result<User> add_user(const Principal& by, User user, Role role, const Secret& password);
  Status set_password(const Principal& by, std::string_view org, std::string_view id,
                      const Secret& password);
  Status set_user_role(const Principal& by, std::string_view org, std::string_view id, Role role);
  Status suspend_user(const Principal& by, std::string_view org, std::string_view id,
                      bool is_suspended);

 private:
  Result<NewKey> store_key(const Principal& by, KeyRecord record);
  // The key, when `by` may do `permission` to it; else what an absent key answers.
  Result<KeyRecord> find_key(const Principal& by, Permission permission, std::string_view org,
                             std::string_view id);
  Result<User> find_user(const Principal& by, std::string_view org, std::string_view id);

  Directory& directory_;
  AccessCache& cache_;
  const Clock& clock_;
  const Secret pepper_;
};

}  // namespace yunqi
