// x86: walks the panels of a matmul; panel_all_rows() is the ISA's.

template <KernelFormat kFormat>
void gemm(const MatmulArgs& args) {
  const int64_t blocks = args.columns / kBlock;
  const Panel panel{
      reinterpret_cast<PanelBlock*>(args.scratch),
      reinterpret_cast<PanelHalves*>(args.scratch + kPanelBlocks * sizeof(PanelBlock))};
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
      if (groups == kPanelGroups) {
        panel_all_rows<kFormat, kPanelGroups>(args, panel, begin, count, tile);
      } else {
        panel_all_rows<kFormat, 1>(args, panel, begin, count, tile);
      }
    }
  }
}
