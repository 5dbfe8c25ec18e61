// One pattern throughout: check names, write the row, its audit row and the version in one job.
#include "store/directory.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "base/json.h"

namespace yunqi {
namespace {

Status check_name(std::string_view what, std::string_view name) {
  const bool has_control = std::any_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (name.empty() || name.size() > kMaxNameBytes || has_control) {
    return error(Code::kInvalidArgument,
                 "{}: want 1 to {} bytes without control characters, found {} bytes", what,
                 kMaxNameBytes, name.size());
  }
  return Status::ok();
}

// A broken constraint in the words of who asked for it.
Status explain(Status status, std::string_view message) {
  if (status.code() != Code::kInvalidArgument) return status;
  return Status(Code::kInvalidArgument, std::string(message));
}

Status record(Sql& sql, int64_t now, Change change) {
  YQ_RETURN_IF_ERROR(append_change(sql, now, change));
  return raise_access_version(sql);
}

std::string list_text(const std::vector<std::string>& items) {
  Json out = Json::array();
  for (const std::string& item : items) out.push_back(item);
  return out.dump();
}

std::vector<std::string> parse_list(std::string_view text) {
  std::vector<std::string> out;
  const auto json = parse_json(text);
  if (!json.is_ok() || !json->is_array()) return out;
  for (const Json& item : json->as_array()) {
    if (item.is_string()) out.push_back(item.as_string());
  }
  return out;
}

std::string json_of(const Organisation& org) {
  return Json::object({{"name", org.name},
                       {"is_prepaid", org.is_prepaid},
                       {"weight", org.weight},
                       {"priority", org.priority},
                       {"is_suspended", org.is_suspended}})
      .dump();
}

std::string json_of(const User& user) {
  return Json::object({{"email", user.email},
                       {"name", user.name},
                       {"team", user.team},
                       {"role", user.role},
                       {"is_suspended", user.is_suspended}})
      .dump();
}

std::string json_of(const KeyRecord& key) {
  return Json::object({{"name", key.name},
                       {"team", key.team},
                       {"permissions", key.permissions},
                       {"models", list_text(key.models)},
                       {"networks", list_text(key.networks)},
                       {"expires", key.expires},
                       {"revoked", key.revoked},
                       {"replaces", key.replaces}})
      .dump();
}

Organisation read_organisation(const SqlRow& row) {
  return {.id = row.string(0),
          .name = row.string(1),
          .is_prepaid = row.flag(2),
          .weight = row.integer(3),
          .priority = row.integer(4),
          .is_suspended = row.flag(5),
          .created = row.integer(6)};
}

Team read_team(const SqlRow& row) {
  return {
      .id = row.string(0), .org = row.string(1), .name = row.string(2), .created = row.integer(3)};
}

User read_user(const SqlRow& row) {
  return {.id = row.string(0),
          .org = row.string(1),
          .team = row.string(2),
          .email = row.string(3),
          .name = row.string(4),
          .role = row.integer(5),
          .password = Secret(row.string(6)),
          .is_suspended = row.flag(7),
          .created = row.integer(8)};
}

KeyRecord read_key(const SqlRow& row) {
  return {.id = row.string(0),
          .org = row.string(1),
          .team = row.string(2),
          .creator = row.string(3),
          .name = row.string(4),
          .digest = Secret(row.string(5)),
          .permissions = row.integer(6),
          .models = parse_list(row.text(7)),
          .networks = parse_list(row.text(8)),
          .created = row.integer(9),
          .expires = row.integer(10),
          .revoked = row.integer(11),
          .replaces = row.string(12)};
}

// Runs a query on the read connection and keeps its rows.
template <typename T>
Result<std::vector<T>> list(Store& store, std::string_view statement,
                            std::initializer_list<SqlParam> params, T (*read)(const SqlRow&)) {
  std::vector<T> out;
  YQ_RETURN_IF_ERROR(store.read([&](Sql& sql) {
    out.clear();
    return sql.execute(statement, params, [&](const SqlRow& row) {
      if (out.size() < size_t{kMaxListed}) out.push_back(read(row));
      return Status::ok();
    });
  }));
  return out;
}

// The one row, or kNotFound in words that are the same for what is absent and what is another's.
template <typename T>
Result<T> one(std::string_view what, std::string_view id, Result<std::vector<T>> found) {
  if (!found.is_ok()) return found.status();
  if (found->empty()) return error(Code::kNotFound, "no {} \"{}\"", what, id.substr(0, 64));
  return std::move(found->front());
}

}  // namespace

Status Directory::add_organisation(std::string_view actor, Organisation org) {
  YQ_RETURN_IF_ERROR(check_name("name", org.name));
  org.created = clock_.unix_seconds();
  return explain(store_.write([&](Sql& sql) -> Status {
    YQ_RETURN_IF_ERROR(sql.execute("INSERT INTO organisations VALUES ($1, $2, $3, $4, $5, $6, $7)",
                                   {org.id, org.name, int64_t{org.is_prepaid}, org.weight,
                                    org.priority, int64_t{org.is_suspended}, org.created}));
    return record(sql, org.created,
                  {.actor = std::string(actor),
                   .org = org.id,
                   .action = "organisation.create",
                   .object = org.id,
                   .after = json_of(org)});
  }),
                 "an organisation of this name exists; choose another");
}

Status Directory::change_organisation(std::string_view actor, const Organisation& org) {
  YQ_RETURN_IF_ERROR(check_name("name", org.name));
  YQ_TRY(const Organisation before, organisation(org.id));
  return explain(store_.write([&](Sql& sql) -> Status {
    YQ_RETURN_IF_ERROR(sql.execute(
        "UPDATE organisations SET name = $2, is_prepaid = $3, weight = $4, priority = $5, "
        "is_suspended = $6 WHERE id = $1",
        {org.id, org.name, int64_t{org.is_prepaid}, org.weight, org.priority,
         int64_t{org.is_suspended}}));
    return record(sql, clock_.unix_seconds(),
                  {.actor = std::string(actor),
                   .org = org.id,
                   .action = "organisation.change",
                   .object = org.id,
                   .before = json_of(before),
                   .after = json_of(org)});
  }),
                 "an organisation of this name exists; choose another");
}

Result<Organisation> Directory::organisation(std::string_view id) {
  return one("organisation", id,
             list(store_, "SELECT * FROM organisations WHERE id = $1", {id}, read_organisation));
}

Result<std::vector<Organisation>> Directory::organisations() {
  return list(store_, "SELECT * FROM organisations ORDER BY name", {}, read_organisation);
}

Status Directory::add_team(std::string_view actor, Team team) {
  YQ_RETURN_IF_ERROR(check_name("name", team.name));
  team.created = clock_.unix_seconds();
  return explain(store_.write([&](Sql& sql) -> Status {
    YQ_RETURN_IF_ERROR(sql.execute("INSERT INTO teams VALUES ($1, $2, $3, $4)",
                                   {team.id, team.org, team.name, team.created}));
    return record(sql, team.created,
                  {.actor = std::string(actor),
                   .org = team.org,
                   .action = "team.create",
                   .object = team.id,
                   .after = Json::object({{"name", team.name}}).dump()});
  }),
                 "a team of this name exists, or its organisation does not");
}

Result<Team> Directory::team(std::string_view org, std::string_view id) {
  return one("team", id,
             list(store_, "SELECT * FROM teams WHERE org = $1 AND id = $2", {org, id}, read_team));
}

Result<std::vector<Team>> Directory::teams(std::string_view org) {
  return list(store_, "SELECT * FROM teams WHERE org = $1 ORDER BY name", {org}, read_team);
}

Status Directory::add_user(std::string_view actor, User user) {
  YQ_RETURN_IF_ERROR(check_name("email", user.email));
  YQ_RETURN_IF_ERROR(check_name("name", user.name));
  if (!user.team.empty()) YQ_RETURN_IF_ERROR(team(user.org, user.team).status());
  user.created = clock_.unix_seconds();
  return explain(store_.write([&](Sql& sql) -> Status {
    YQ_RETURN_IF_ERROR(
        sql.execute("INSERT INTO users VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    {user.id, user.org, user.team, user.email, user.name, user.role,
                     user.password.reveal(), int64_t{user.is_suspended}, user.created}));
    return record(sql, user.created,
                  {.actor = std::string(actor),
                   .org = user.org,
                   .action = "user.create",
                   .object = user.id,
                   .after = json_of(user)});
  }),
                 "a user with this address exists, or the organisation does not");
}

Status Directory::change_user(std::string_view actor, const User& now) {
  YQ_RETURN_IF_ERROR(check_name("email", now.email));
  YQ_RETURN_IF_ERROR(check_name("name", now.name));
  YQ_TRY(const User before, user(now.org, now.id));
  return explain(store_.write([&](Sql& sql) -> Status {
    YQ_RETURN_IF_ERROR(
        sql.execute("UPDATE users SET team = $3, email = $4, name = $5, role = $6, password = $7, "
                    "is_suspended = $8 WHERE org = $1 AND id = $2",
                    {now.org, now.id, now.team, now.email, now.name, now.role,
                     now.password.reveal(), int64_t{now.is_suspended}}));
    return record(sql, clock_.unix_seconds(),
                  {.actor = std::string(actor),
                   .org = now.org,
                   .action = "user.change",
                   .object = now.id,
                   .before = json_of(before),
                   .after = json_of(now)});
  }),
                 "a user with this address exists; choose another");
}

Result<User> Directory::user(std::string_view org, std::string_view id) {
  return one("user", id,
             list(store_, "SELECT * FROM users WHERE org = $1 AND id = $2", {org, id}, read_user));
}

Result<User> Directory::user_by_email(std::string_view email) {
  return one("user", email,
             list(store_, "SELECT * FROM users WHERE email = $1", {email}, read_user));
}

Result<std::vector<User>> Directory::users(std::string_view org) {
  return list(store_, "SELECT * FROM users WHERE org = $1 ORDER BY email", {org}, read_user);
}

Status Directory::add_key(std::string_view actor, KeyRecord key) {
  YQ_RETURN_IF_ERROR(check_name("name", key.name));
  for (const auto* items : {&key.models, &key.networks}) {
    if (items->size() <= kMaxKeyListItems) continue;
    return error(Code::kTooLarge, "want at most {} models and networks, found {}", kMaxKeyListItems,
                 items->size());
  }
  YQ_RETURN_IF_ERROR(team(key.org, key.team).status());
  key.created = clock_.unix_seconds();
  const std::string models = list_text(key.models), networks = list_text(key.networks);
  return explain(store_.write([&](Sql& sql) -> Status {
    YQ_RETURN_IF_ERROR(sql.execute(
        "INSERT INTO api_keys VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        {key.id, key.org, key.team, key.creator, key.name, key.digest.reveal(), key.permissions,
         models, networks, key.created, key.expires, key.revoked, key.replaces}));
    return record(sql, key.created,
                  {.actor = std::string(actor),
                   .org = key.org,
                   .action = "key.create",
                   .object = key.id,
                   .after = json_of(key)});
  }),
                 "the key's organisation or team does not exist");
}

Result<KeyRecord> Directory::key_by_id(std::string_view id) {
  return one("key", id, list(store_, "SELECT * FROM api_keys WHERE id = $1", {id}, read_key));
}

Result<KeyRecord> Directory::key(std::string_view org, std::string_view id) {
  return one(
      "key", id,
      list(store_, "SELECT * FROM api_keys WHERE org = $1 AND id = $2", {org, id}, read_key));
}

Result<std::vector<KeyRecord>> Directory::keys(std::string_view org, std::string_view team) {
  return list(store_,
              "SELECT * FROM api_keys WHERE org = $1 AND ($2 = '' OR team = $2) "
              "ORDER BY created, id",
              {org, team}, read_key);
}

Status Directory::revoke_key(std::string_view actor, std::string_view org, std::string_view id,
                             int64_t at) {
  YQ_TRY(const KeyRecord before, key(org, id));
  if (before.revoked != 0 && before.revoked <= at) return Status::ok();
  KeyRecord after = before;
  after.revoked = at;
  return store_.write([&](Sql& sql) -> Status {
    YQ_RETURN_IF_ERROR(
        sql.execute("UPDATE api_keys SET revoked = $3 WHERE org = $1 AND id = $2", {org, id, at}));
    return record(sql, clock_.unix_seconds(),
                  {.actor = std::string(actor),
                   .org = std::string(org),
                   .action = "key.revoke",
                   .object = std::string(id),
                   .before = json_of(before),
                   .after = json_of(after)});
  });
}

Result<int64_t> Directory::version() {
  int64_t version = 0;
  YQ_RETURN_IF_ERROR(store_.read([&](Sql& sql) -> Status {
    YQ_TRY(version, access_version(sql));
    return Status::ok();
  }));
  return version;
}

}  // namespace yunqi
