// The main of fuzz targets without libFuzzer: feeds a target every file of a corpus folder, each
// also cut short and with single bytes changed (the same ones every time). A crash or a failed
// check ends the program; an empty corpus is an error, so that the test can't pass by accident.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace yunqi {
namespace {

constexpr uint64_t kMaxSeedBytes = uint64_t{1} << 20;
constexpr size_t kVariantsPerSeed = 64;

// Runs on an exact-size copy, so that AddressSanitizer sees a read of one byte too many.
void run(std::string_view bytes) {
  const std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

void run_with_variants(const std::string& seed) {
  run(seed);
  std::mt19937_64 random(seed.size());
  for (size_t i = 0; i < kVariantsPerSeed && !seed.empty(); ++i) {
    run(std::string_view(seed).substr(0, random() % seed.size()));
    std::string changed = seed;
    changed[random() % seed.size()] = static_cast<char>(random());
    run(changed);
  }
}

int replay(const Path& folder) {
  std::vector<Path> files;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ec)) {
    if (entry.is_regular_file(ec)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const Path& file : files) {
    const Result<std::string> seed = read_file(file, kMaxSeedBytes);
    if (!seed.is_ok()) {
      std::fprintf(stderr, "%s\n", seed.status().to_string().c_str());
      return 1;
    }
    // Named first, so that the last line before a crash says which seed it was.
    std::printf("%s\n", file.filename().c_str());
    std::fflush(stdout);
    run_with_variants(*seed);
  }
  if (files.empty()) std::fprintf(stderr, "%s: want seed files, found none\n", folder.c_str());
  return files.empty() ? 1 : 0;
}

}  // namespace
}  // namespace yunqi

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
    return 2;
  }
  return yunqi::replay(argv[1]);
}
