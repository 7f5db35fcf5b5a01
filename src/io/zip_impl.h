#pragma once
// The directory of a zip archive whose members are stored, not compressed; and the parts for writing one.
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace sdg::io {

/// Members by name; each span lies in `file`. Trusts no number in it: every member must be stored without compression
/// or encryption, lie inside the file, overlap no other, and agree with its local header. Throws Error beginning with
/// `where`.
std::map<std::string, std::span<std::byte>> stored_members(std::span<std::byte> file, const std::string& where);

constexpr uint32_t kLocalSignature = 0x04034b50, kCentralSignature = 0x02014b50, kEndSignature = 0x06054b50,
                   kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20;
constexpr uint32_t kIn64 = 0xffffffff;  // the number is in the zip64 extra field
constexpr uint16_t kExtra64 = 1;

}  // namespace sdg::io
