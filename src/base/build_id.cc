// See build_id.h. The note lies in a segment that the loader has mapped.
#include "base/build_id.h"

#if defined(__linux__)
#include <elf.h>
#include <link.h>

#include <cstddef>
#include <cstring>
#include <span>

#include "base/sha256.h"

namespace yunqi {
namespace {

size_t padded(size_t bytes) { return (bytes + 3) & ~size_t{3}; }

// The build id among the notes of one segment, or nothing.
std::span<const uint8_t> find_build_id(std::span<const uint8_t> notes) {
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) head;
    std::memcpy(&head, notes.data(), sizeof head);
    const size_t name_at = sizeof head;
    const size_t value_at = name_at + padded(head.n_namesz);
    const size_t end = value_at + padded(head.n_descsz);
    if (end > notes.size()) return {};
    if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 &&
        std::memcmp(notes.data() + name_at, "GNU", 4) == 0) {
      return notes.subspan(value_at, head.n_descsz);
    }
    notes = notes.subspan(end);
  }
  return {};
}

// The first object is the program itself.
int read_program(dl_phdr_info* info, size_t, void* out) {
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const auto* bytes = reinterpret_cast<const uint8_t*>(info->dlpi_addr + segment.p_vaddr);
    const std::span<const uint8_t> id = find_build_id({bytes, segment.p_memsz});
    if (!id.empty()) *static_cast<std::string*>(out) = to_hex(id);
  }
  return 1;
}

}  // namespace

const std::string& build_id() {
  static const std::string id = [] {
    std::string out;
    dl_iterate_phdr(read_program, &out);
    return out;
  }();
  return id;
}

}  // namespace yunqi

#else

namespace yunqi {

const std::string& build_id() {
  static const std::string none;
  return none;
}

}  // namespace yunqi
#endif
