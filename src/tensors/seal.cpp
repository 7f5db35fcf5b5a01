#include "tensors/seal_impl.h"

#include <algorithm>
#include <vector>

#include "sdg/core/error.h"

namespace sdg::tensors {
namespace {

// Inside a JSON string the quotes would be escaped: this can only be the key itself, as our writer puts it.
const std::string kBefore = cat('"', kSealKey, "\":\"");

}  // namespace

bool is_sealed(const std::map<std::string, std::string>& metadata) {
  if (metadata.contains(kSealKey)) return true;
  const auto format = metadata.find("format");
  return format != metadata.end() && format->second.starts_with("sdg-") && !format->second.ends_with("-1");
}

Seal::Seal(std::string header, const std::string& where) {
  const auto key = header.find(kBefore);
  SDG_CHECK(key != std::string::npos, where, ": damaged, or written anew by another program: its checksum (metadata `",
            kSealKey, "`) is not there");
  place_ = key + kBefore.size();
  const auto end = place_ + kDigits;
  SDG_CHECK(header.size() > end && header[end] == '"', where, ": damaged: its checksum is not ", kDigits, " digits");
  std::fill_n(header.begin() + static_cast<ptrdiff_t>(place_), kDigits, '0');
  digest_.text(header);
}

void Seal::add(std::span<const std::byte> bytes) {
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(kPiece, bytes.size())))
    digest_.bytes(bytes.first(std::min(kPiece, bytes.size())));
}

void check_seal(const io::OpenedFile& file, const TensorHeader& header, std::string_view header_bytes,
                const std::string& where) {
  Seal seal(std::string(header_bytes), where);
  std::vector<std::byte> piece(Seal::kPiece);
  for (const auto& entry : header.entries) {
    for (auto at = entry.begin; at < entry.end;) {
      const auto part = std::span(piece).first(std::min<uint64_t>(piece.size(), entry.end - at));
      io::read_exactly(file, header.data_start + at, part, where);
      seal.add(part);
      at += part.size();
    }
  }
  const auto found = seal.hex();
  const auto said = header_bytes.substr(seal.place(), Seal::kDigits);
  SDG_CHECK(found == said, where, ": damaged: the checksum of its bytes is ", found, ", written was ", said);
}

}  // namespace sdg::tensors
