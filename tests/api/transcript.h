// Transcripts of the HTTP API: a readable file of requests and what must come back. The format is
// described in README.md beside this file.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "http/server.h"

namespace yunqi {

struct Exchange {
  HttpRequest request;
  bool hangup = false;  // the client goes away after the first read
  int status = 0;
  HttpHeaders headers;            // that must be there, names as the server writes them
  std::string body;               // JSON to match, or empty
  std::vector<std::string> data;  // server-sent events, in order, all of them
  std::vector<std::string> contains;
};

struct TranscriptCase {
  std::string name, file;
  int line = 0;
  Json server = Json::object();
  std::vector<Json> engine;  // scripts, in order of submission
  std::vector<Exchange> exchanges;
  std::vector<Json> asked;  // what the engine must have been asked, in order, all of it
};

// Every case of every *.transcript in the folder; errors name file and line.
Result<std::vector<TranscriptCase>> read_transcripts(const std::string& folder);

// "" when `found` has all that `want` asks for, else where and how it differs.
std::string mismatch(const Json& want, const Json* found, const std::string& path = "$");

}  // namespace yunqi
