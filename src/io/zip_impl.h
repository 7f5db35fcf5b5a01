#pragma once
// Zip archives: the directory, members stored or deflated, and a writer of stored ones.
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sdg::io {

struct ZipMember {
  std::string name;             ///< UTF-8: as the zip says, else out of code page 437, as Python's zipfile reads it
  std::span<std::byte> packed;  ///< its bytes in the file
  uint64_t size = 0;            ///< bytes when unpacked
  uint32_t crc = 0;
  uint16_t method = 0;  ///< 0: stored, 8: deflated
  bool is_encrypted = false;
};

/// The members in the order of the directory. Trusts no number in it: every member must lie inside the file, overlap
/// no other, have a name of its own, and agree with its local header. Throws Error beginning with `where`.
std::vector<ZipMember> zip_members(std::span<std::byte> file, const std::string& where);

/// The bytes of a member that is neither compressed nor encrypted; throws Error for others.
std::span<std::byte> stored_bytes(const ZipMember& member, const std::string& where);

/// Gives the bytes of a member in order.
class ZipStream {
 public:
  /// Throws Error beginning with `where` for encryption and for methods other than stored and deflated.
  ZipStream(const ZipMember& member, std::string where);
  ~ZipStream();
  ZipStream(ZipStream&&) noexcept;
  ZipStream& operator=(ZipStream&&) noexcept;

  /// Fills the span; throws Error where the member ends before, or is damaged.
  void read(std::span<std::byte> to);
  /// Sees that nothing is left and that the checksum is right.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes stored members, their data on multiples of 64 bytes as torch.save does, and the directory at the end.
class ZipWriter {
 public:
  explicit ZipWriter(std::ostream& out) : out_(out) {}
  /// The pieces one after the other.
  void add(const std::string& name, std::initializer_list<std::span<const std::byte>> pieces);
  void finish();

 private:
  struct Member {
    std::string name;
    uint32_t crc;
    uint64_t size, begin;
  };
  static void common(std::string& out, const Member& member);
  void write(const std::string& bytes);

  std::ostream& out_;
  uint64_t at_ = 0;
  std::vector<Member> members_;
};

constexpr uint32_t kLocalSignature = 0x04034b50, kCentralSignature = 0x02014b50, kEndSignature = 0x06054b50,
                   kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20;
constexpr uint32_t kIn64 = 0xffffffff;  // the number is in the zip64 extra field
constexpr uint16_t kExtra64 = 1, kZipUtf8 = 0x800, kStored = 0, kDeflated = 8;

}  // namespace sdg::io
