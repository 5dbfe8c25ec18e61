// The config of `yunqi serve`: every key reaches what it names, wrong ones are named, and a public
// address wants a key.
#include "app/serve_config.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"

namespace yunqi {
namespace {

Status read(const std::string& text, ServeConfig& config) {
  const Path path = std::filesystem::temp_directory_path() /
                    ("yunqi_config_" + std::to_string(std::hash<std::string>()(text)) + ".toml");
  EXPECT_TRUE(write_file_atomically(path, text).is_ok());
  const Status status = read_config_file(path.string(), config);
  std::filesystem::remove(path);
  return status;
}

TEST(ServeConfig, ManyModelsAndTheEngineCanBeSet) {
  ServeConfig config;
  const Status status = read(R"(
[serve]
models = ["a", "b"]
on_demand = true
strict = true
installed = true
keep_alive_s = 60
model_memory = "8GiB"
load_timeout_s = 5
[engine]
max_sequences = 3
queue_limit = 4
prefill_chunk = 5
itl_target_ms = 6
prefix_cache = false
speculation = false
cache_dir = "/var/cache/yunqi"
cache_dir_size = "2GiB"
)",
                             config);
  ASSERT_TRUE(status.is_ok()) << status.message();
  EXPECT_TRUE(check_config(config).is_ok());
  EXPECT_EQ(config.models.size(), 2u);
  EXPECT_TRUE(config.on_demand && config.installed && config.strict);
  EXPECT_EQ(config.keep_alive_s, 60);
  EXPECT_EQ(config.model_memory, "8GiB");
  EXPECT_EQ(config.load_timeout_s, 5);
  const EngineOptions engine = engine_options(config);
  EXPECT_EQ(engine.max_sequences, 3);
  EXPECT_EQ(engine.queue_limit, 4u);
  EXPECT_EQ(engine.prefill_chunk, 5);
  EXPECT_EQ(engine.itl_target_ms, 6);
  EXPECT_FALSE(engine.prefix_cache);
  EXPECT_EQ(engine.speculation, kSpeculationOff);
  EXPECT_EQ(engine.cache_dir, Path("/var/cache/yunqi"));
  EXPECT_EQ(engine.cache_dir_bytes, uint64_t{2} << 30);
}

TEST(ServeConfig, DefaultsAreTheEnginesOwn) {
  const EngineOptions found = engine_options({}), want;
  EXPECT_EQ(found.max_sequences, want.max_sequences);
  EXPECT_EQ(found.queue_limit, want.queue_limit);
  EXPECT_EQ(found.prefill_chunk, want.prefill_chunk);
  EXPECT_EQ(found.itl_target_ms, want.itl_target_ms);
  EXPECT_EQ(found.prefix_cache, want.prefix_cache);
  EXPECT_EQ(found.speculation, want.speculation);
  EXPECT_EQ(found.cache_dir_bytes, want.cache_dir_bytes);
}

TEST(ServeConfig, WrongKeysAndValuesAreNamed) {
  const auto message = [](const std::string& text) {
    ServeConfig config;
    Status status = read(text, config);
    if (status.is_ok()) status = check_config(config);
    return status.message();
  };
  EXPECT_NE(message("[serve]\non_demandd = true\n").find("serve.on_demandd"), std::string::npos);
  EXPECT_NE(message("[serve]\non_demand = 1\n").find("true or false"), std::string::npos);
  EXPECT_NE(message("[engine]\nprefill_chunk = 0\n").find("1 to 65536"), std::string::npos);
  EXPECT_NE(message("[serve]\nmodel_memory = \"lots\"\n").find("lots"), std::string::npos);
  EXPECT_NE(message("[engine]\ncache_dir_size = \"2X\"\n").find("2X"), std::string::npos);
  EXPECT_NE(message("[serve]\nhost = \"0.0.0.0\"\n").find("--api-key"), std::string::npos);
  EXPECT_EQ(message("[serve]\nhost = \"0.0.0.0\"\napi_keys = [\"k\"]\n"), "");
}

TEST(ServeConfig, LoopbackIsAnAddressOrLocalhost) {
  for (const char* host : {"localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"}) {
    EXPECT_TRUE(is_loopback_host(host)) << host;
  }
  for (const char* host : {"127.0.0.1.example.org", "0.0.0.0", "example.org", "10.0.0.1", ""}) {
    EXPECT_FALSE(is_loopback_host(host)) << host;
  }
}

}  // namespace
}  // namespace yunqi
