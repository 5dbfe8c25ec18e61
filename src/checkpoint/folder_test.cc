// Hugging Face folders: which files are read, in which order, and what is refused. The names S9
// and T10 are rows of the list of bad inputs (tests/badinput.tsv).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/limits.h"
#include "checkpoint/test_files.h"

namespace yunqi {
namespace {

using test::safetensors_bytes;
using test::TempFolder;
using test::tensor_json;
using test::tiny_safetensors;
using testing::HasSubstr;

constexpr std::string_view kConfig = R"({"model_type":"qwen3","hidden_size":32})";

void expect_bad(const Path& path, std::string_view part, Code code = Code::kBadFile) {
  const Status status = Checkpoint::open(path).status();
  EXPECT_EQ(status.code(), code) << status.to_string();
  EXPECT_THAT(status.message(), HasSubstr(std::string(part)));
}

// A file of one tensor of four bytes.
std::string one_tensor(std::string_view name) {
  return safetensors_bytes(fmt::format("{{{}}}", tensor_json(name, "F32", "[1]", 0, 4)), "abcd");
}

std::string index_of(std::string_view map) { return fmt::format(R"({{"weight_map":{}}})", map); }

TEST(Folder, SingleFile) {
  const TempFolder folder;
  folder.write("config.json", kConfig);
  folder.write("generation_config.json", R"({"eos_token_id":[1,2]})");
  folder.write("tokenizer.json", "{}");
  folder.write("vocab.json", "{\"old\":1}");
  folder.write("tokenizer_config.json", R"({"chat_template":"from config"})");
  folder.write("model.safetensors", tiny_safetensors());
  for (const Path& path : {folder.path(), folder / "model.safetensors"}) {
    const auto opened = Checkpoint::open(path);
    ASSERT_TRUE(opened.is_ok()) << opened.status().to_string();
    const Checkpoint& checkpoint = **opened;
    EXPECT_EQ(checkpoint.format(), "safetensors");
    EXPECT_EQ(checkpoint.config().dump(), kConfig);
    EXPECT_EQ(checkpoint.generation_config().dump(), R"({"eos_token_id":[1,2]})");
    EXPECT_EQ(checkpoint.tokenizer().tokenizer_json, "{}");
    EXPECT_EQ(checkpoint.tokenizer().vocab_json, "") << "tokenizer.json wins";
    EXPECT_EQ(checkpoint.chat_template(), "from config");
    EXPECT_EQ(checkpoint.find("a")->describe(), "[2] f32");
    EXPECT_EQ(checkpoint.metadata().find("files")->as_array().size(), 6u);
    EXPECT_EQ(checkpoint.metadata().find("safetensors")->dump(), R"({"format":"pt"})");
  }
}

TEST(Folder, OlderTokenizerPair) {
  const TempFolder folder;
  folder.write("config.json", kConfig);
  folder.write("vocab.json", "{\"a\":0}");
  folder.write("merges.txt", "a b\n");
  folder.write("weights.safetensors", tiny_safetensors());
  const auto opened = Checkpoint::open(folder.path());
  ASSERT_TRUE(opened.is_ok()) << opened.status().to_string();
  EXPECT_EQ((*opened)->tokenizer().vocab_json, "{\"a\":0}");
  EXPECT_EQ((*opened)->tokenizer().merges_txt, "a b\n");
  EXPECT_EQ((*opened)->generation_config().dump(), "{}");
  EXPECT_EQ((*opened)->chat_template(), "");
}

TEST(Folder, ChatTemplateOrder) {
  const TempFolder folder;
  folder.write("config.json", kConfig);
  folder.write("model.safetensors", tiny_safetensors());
  const auto chat_template = [&](std::string_view config) {
    folder.write("tokenizer_config.json", config);
    const auto opened = Checkpoint::open(folder.path());
    return opened.is_ok() ? (*opened)->chat_template() : opened.status().to_string();
  };
  EXPECT_EQ(chat_template("{}"), "");
  EXPECT_EQ(chat_template(R"({"chat_template":null})"), "");
  EXPECT_EQ(chat_template(R"({"chat_template":[{"name":"rag","template":"r"},)"
                          R"({"name":"default","template":"d"}]})"),
            "d");
  EXPECT_EQ(chat_template(R"({"chat_template":[{"name":"rag","template":"r"},3]})"), "");
  EXPECT_THAT(chat_template(R"({"chat_template":7})"), HasSubstr("bad_file"));
  EXPECT_THAT(chat_template(R"({"chat_template":[{"name":"default","template":7}]})"),
              HasSubstr("bad_file"));
  EXPECT_THAT(chat_template("{"), HasSubstr("tokenizer_config.json"));
  folder.write("chat_template.jinja", "own file");
  EXPECT_EQ(chat_template(R"({"chat_template":"from config"})"), "own file");
  folder.write("chat_template.jinja", "\xff");
  EXPECT_THAT(chat_template("{}"), HasSubstr("not UTF-8"));
}

TEST(Folder, ShardsByTheirIndex) {
  const TempFolder folder;
  folder.write("config.json", kConfig);
  folder.write("model-1.safetensors", one_tensor("a"));
  folder.write("model-2.safetensors", one_tensor("b"));
  const std::string_view index = "model.safetensors.index.json";
  folder.write(index, index_of(R"({"b":"model-2.safetensors","a":"model-1.safetensors"})"));
  for (const Path& path : {folder.path(), folder / "model-2.safetensors"}) {
    const auto opened = Checkpoint::open(path);
    ASSERT_TRUE(opened.is_ok()) << opened.status().to_string();
    EXPECT_EQ((*opened)->tensors().size(), 2u);
    EXPECT_EQ((*opened)->files().size(), 2u);
  }
  folder.write(index, index_of(R"({"a":"model-2.safetensors","b":"model-1.safetensors"})"));
  expect_bad(folder.path(), R"(tensor "a" is not in model-2.safetensors)");
  folder.write(index, index_of(R"({"a":"model-1.safetensors","c":"model-1.safetensors"})"));
  expect_bad(folder.path(), R"(tensor "c" is not in)");
  folder.write(index, index_of(R"({"a":"model-1.safetensors","b":"model-3.safetensors"})"));
  expect_bad(folder.path(), "model-3.safetensors: this weight file is missing", Code::kNotFound);
  folder.write("model-2.safetensors", one_tensor("a"));
  folder.write(index, index_of(R"({"a":"model-1.safetensors","a2":"model-2.safetensors"})"));
  expect_bad(folder.path(), R"(tensor "a2" is not in)");
  for (const std::string_view bad :
       {"{}", "[]", "{", R"({"weight_map":[]})", R"({"weight_map":{"a":1}})"}) {
    folder.write(index, bad);
    expect_bad(folder.path(), index);
  }
}

TEST(Folder, TheSameTensorInTwoShardsIsRefused) {
  const TempFolder folder;
  folder.write("config.json", kConfig);
  folder.write("1.safetensors", one_tensor("a"));
  folder.write("2.safetensors",
               safetensors_bytes(fmt::format("{{{},{}}}", tensor_json("a", "U8", "[1]", 0, 1),
                                             tensor_json("b", "U8", "[1]", 1, 2)),
                                 "xy"));
  folder.write("model.safetensors.index.json",
               index_of(R"({"a":"1.safetensors","b":"2.safetensors"})"));
  expect_bad(folder.path(), "tensor a stands in the checkpoint twice");
}

TEST(Folder, S9ShardNamesStayInTheFolder) {
  const TempFolder folder;
  folder.write("config.json", kConfig);
  folder.write("outside.safetensors", one_tensor("a"));
  std::filesystem::create_directory(folder / "sub");
  folder.write("sub/in.safetensors", one_tensor("a"));
  const std::string absolute = (folder / "outside.safetensors").string();
  for (const std::string& name :
       {std::string("../outside.safetensors"), absolute, std::string("sub/in.safetensors"),
        std::string("sub/../outside.safetensors"), std::string("./outside.safetensors"),
        std::string(".."), std::string("."), std::string(".hidden.safetensors"), std::string(""),
        std::string("config.json"), std::string("a\\\\b.safetensors"),
        std::string("outside.safetensors\\u0000.safetensors"),
        std::string(300, 'x') + ".safetensors"}) {
    folder.write("model.safetensors.index.json", index_of(fmt::format(R"({{"a":"{}"}})", name)));
    expect_bad(folder.path(), "is no name of a safetensors file in this folder");
  }
}

TEST(Folder, T10FormatsThatCarryCodeAreRefused) {
  const TempFolder folder;
  folder.write("config.json", R"({"auto_map":{"AutoModel":"evil.Model"}})");
  expect_bad(folder.path(), "no weights", Code::kNotFound);
  folder.write("pytorch_model.bin", "\x80\x02");
  expect_bad(folder.path(), "pytorch_model.bin: pickled weights can carry code",
             Code::kUnsupported);
  folder.write("model.safetensors", tiny_safetensors());
  EXPECT_TRUE(Checkpoint::open(folder.path()).is_ok()) << "the safe format beside it is read";
}

TEST(Folder, MissingAndAmbiguousFiles) {
  const TempFolder folder;
  expect_bad(folder.path(), "config.json is missing", Code::kNotFound);
  expect_bad(folder.write("x.safetensors", one_tensor("a")), "config.json is missing",
             Code::kNotFound);
  folder.write("config.json", "[1]");
  expect_bad(folder.path(), "config.json: want an object, found array");
  folder.write("config.json", R"({"a":1,"a":2})");
  expect_bad(folder.path(), "config.json");
  folder.write("config.json", kConfig);
  EXPECT_TRUE(Checkpoint::open(folder.path()).is_ok());
  folder.write("y.safetensors", one_tensor("b"));
  expect_bad(folder.path(), "2 safetensors files but no model.safetensors.index.json");
  EXPECT_EQ(Checkpoint::open(folder / "y.safetensors").value()->tensors().size(), 1u);
  folder.write("model.safetensors", "short");
  expect_bad(folder.path(), "model.safetensors: truncated");
}

TEST(Folder, SizesAtTheirLimitsAndOneOver) {
  const TempFolder folder;
  folder.write("model.safetensors", tiny_safetensors());
  const auto padded = [](uint64_t size) { return "{}" + std::string(size - 2, ' '); };
  struct Case {
    std::string_view name;
    uint64_t limit;
  };
  for (const Case& one :
       {Case{"config.json", kMaxConfigBytes}, Case{"generation_config.json", kMaxConfigBytes},
        Case{"tokenizer_config.json", kMaxTokenizerConfigBytes},
        Case{"tokenizer.json", kMaxTokenizerBytes},
        Case{"chat_template.jinja", kMaxChatTemplateBytes}}) {
    folder.write("config.json", kConfig);
    folder.write(one.name, padded(one.limit));
    EXPECT_TRUE(Checkpoint::open(folder.path()).is_ok()) << one.name;
    folder.write(one.name, padded(one.limit + 1));
    expect_bad(folder.path(), one.name, Code::kTooLarge);
    std::filesystem::remove(folder / one.name);
  }
  folder.write("config.json", kConfig);
  folder.write("tokenizer_config.json", fmt::format(R"({{"chat_template":"{}"}})",
                                                    std::string(kMaxChatTemplateBytes + 1, 't')));
  expect_bad(folder.path(), "chat_template: want at most 1048576 bytes", Code::kTooLarge);
}

}  // namespace
}  // namespace yunqi
