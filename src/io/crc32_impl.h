#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace sdg::io {
/// CRC-32 (ISO 3309, of PNG and zip) of the bytes so far, `crc` being that of what came before.
uint32_t crc32(std::span<const std::byte> bytes, uint32_t crc = 0);
}  // namespace sdg::io
