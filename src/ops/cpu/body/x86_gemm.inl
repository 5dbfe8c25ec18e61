// x86: walks the panels of a matmul; panel_all_rows() is the ISA's.

// Passes over a panel's blocks in which the next panel is fetched; later ones need not.
constexpr int64_t kAheadPasses = 4;

inline size_t bytes_of_blocks(const Layout& layout, int64_t blocks) {
  return static_cast<size_t>(blocks / layout.blocks_per_unit()) * layout.unit_bytes();
}

// What comes after blocks [begin, begin + count) of group g and its neighbour.
template <KernelFormat kFormat>
Ahead next_panel(const MatmulArgs& args, int64_t g, int64_t begin, int64_t count) {
  constexpr Layout kLayout = layout_of(kFormat);
  const int64_t blocks = args.columns / kBlock;
  begin += count;
  if (begin == blocks) {
    begin = 0;
    g += kPanelGroups;
  }
  Ahead ahead;
  if (g >= args.group_count) return ahead;
  const int64_t next = blocks - begin < kPanelBlocks ? blocks - begin : kPanelBlocks;
  ahead.at =
      args.groups + static_cast<size_t>(g) * args.group_bytes + bytes_of_blocks(kLayout, begin);
  ahead.end = ahead.at + bytes_of_blocks(kLayout, next);
  ahead.next_group = g + 1 < args.group_count ? args.group_bytes : 0;
  const int64_t passes = args.rows / 4 < 1              ? 1
                         : args.rows / 4 < kAheadPasses ? args.rows / 4
                                                        : kAheadPasses;
  ahead.lines = static_cast<int>(static_cast<int64_t>(bytes_of_blocks(kLayout, next)) / 64 /
                                 (count * passes)) +
                1;
  return ahead;
}

template <KernelFormat kFormat>
void gemm(const MatmulArgs& args) {
  const int64_t blocks = args.columns / kBlock;
  Ahead ahead;
  const Panel panel{
      reinterpret_cast<PanelBlock*>(args.scratch),
      reinterpret_cast<PanelHalves*>(args.scratch + kPanelBlocks * sizeof(PanelBlock)), &ahead};
  for (int64_t g = 0; g < args.group_count; g += kPanelGroups) {
    const int64_t groups =
        args.group_count - g < kPanelGroups ? args.group_count - g : kPanelGroups;
    float* tile = args.tile + g * kLanes;
    for (int64_t begin = 0; begin < blocks; begin += kPanelBlocks) {
      const int64_t count = blocks - begin < kPanelBlocks ? blocks - begin : kPanelBlocks;
      for (int64_t i = 0; i < groups; ++i) {
        unpack_panel<kFormat>(args.groups + static_cast<size_t>(g + i) * args.group_bytes, begin,
                              count, static_cast<int>(i), panel);
      }
      ahead = next_panel<kFormat>(args, g, begin, count);
      if (groups == kPanelGroups) {
        panel_all_rows<kFormat, kPanelGroups>(args, panel, begin, count, tile);
      } else {
        panel_all_rows<kFormat, 1>(args, panel, begin, count, tile);
      }
    }
  }
}
