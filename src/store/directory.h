// Who there is: organisations, their teams and users, and their keys. Every look-up but the two of
// authentication names the organisation, so that another's objects are as absent as none. Every
// change is written with its audit row and raises the access version. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/audit_log.h"
#include "store/secret.h"

namespace yunqi {

inline constexpr size_t kMaxNameBytes = 200;       // names of organisations, teams, keys, people
inline constexpr int64_t kMaxListed = 10'000;      // rows of one listing
inline constexpr size_t kMaxKeyListItems = 1'000;  // models or networks of one key

struct Organisation {
  std::string id = {}, name = {};
  bool is_prepaid = false;    // requests need a balance that covers them
  int64_t weight = 100;       // share of the engine beside other organisations
  int64_t priority = 1;       // class: 0 interactive, 1 standard, 2 batch
  bool is_suspended = false;  // nobody of it may do anything
  int64_t created = 0;
};

struct Team {
  std::string id = {}, org = {}, name = {};
  int64_t created = 0;
};

struct User {
  std::string id = {}, org = {};
  std::string team = {};  // empty: of the whole organisation
  std::string email = {}, name = {};
  int64_t role = 0;      // tenancy/permissions.h
  Secret password = {};  // Argon2id's text form; empty: may not log in with one
  bool is_suspended = false;
  int64_t created = 0;
};

struct KeyRecord {
  std::string id = {}, org = {}, team = {};
  std::string creator = {};  // the user or key that made it
  std::string name = {};
  Secret digest = {};                      // HMAC-SHA-256 of the key, hex
  int64_t permissions = 0;                 // bits of tenancy/permissions.h
  std::vector<std::string> models = {};    // empty: all
  std::vector<std::string> networks = {};  // "10.0.0.0/8"; empty: all
  int64_t created = 0;
  int64_t expires = 0;        // 0: never
  int64_t revoked = 0;        // 0: not
  std::string replaces = {};  // the key that it was rotated from
};

class Directory {
 public:
  Directory(Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  // add_*: kInvalidArgument when the name or id is taken, is empty or too long. `created` is set.
  Status add_organisation(std::string_view actor, Organisation org);
  Status change_organisation(std::string_view actor, const Organisation& org);  // by id
  Result<Organisation> organisation(std::string_view id);
  Result<std::vector<Organisation>> organisations();

  Status add_team(std::string_view actor, Team team);
  Result<Team> team(std::string_view org, std::string_view id);
  Result<std::vector<Team>> teams(std::string_view org);

  Status add_user(std::string_view actor, User user);
  Status change_user(std::string_view actor, const User& user);  // by org and id
  Result<User> user(std::string_view org, std::string_view id);
  Result<User> user_by_email(std::string_view email);  // for authentication
  Result<std::vector<User>> users(std::string_view org);

  Status add_key(std::string_view actor, KeyRecord key);
  Result<KeyRecord> key_by_id(std::string_view id);  // for authentication
  Result<KeyRecord> key(std::string_view org, std::string_view id);
  // Of one team, or of all when `team` is empty.
  Result<std::vector<KeyRecord>> keys(std::string_view org, std::string_view team);
  // From `at` on the key is refused; an earlier time that is set stays. kNotFound as key().
  Status revoke_key(std::string_view actor, std::string_view org, std::string_view id, int64_t at);

  // Changes whenever anything here, a quota or a price does.
  Result<int64_t> version();

 private:
  Store& store_;
  const Clock& clock_;
};

}  // namespace yunqi
