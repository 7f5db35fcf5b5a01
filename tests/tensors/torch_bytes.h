#pragma once
// Torch files put together by hand, right and wrong ones.
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace sdg::test {

template <class T>
std::string little(T value) {
  std::string out(sizeof(T), '\0');
  std::memcpy(out.data(), &value, sizeof(T));
  return out;
}

struct ZipMember {
  std::string name, data;
  uint16_t method = 0, flags = 0;
  int64_t size_lie = 0, offset_lie = 0;  ///< added to what the central directory says
};

inline std::string zip_bytes(const std::vector<ZipMember>& members) {
  std::string out, directory;
  for (const auto& m : members) {
    const auto common = little<uint16_t>(20) + little(m.flags) + little(m.method) + std::string(4, '\0') +
                        little<uint32_t>(0) + little(static_cast<uint32_t>(m.data.size() + m.size_lie)) +
                        little(static_cast<uint32_t>(m.data.size() + m.size_lie)) +
                        little(static_cast<uint16_t>(m.name.size())) + little<uint16_t>(0);
    directory += "PK\1\2" + little<uint16_t>(20) + common + std::string(10, '\0') +
                 little(static_cast<uint32_t>(static_cast<int64_t>(out.size()) + m.offset_lie)) + m.name;
    out += "PK\3\4" + common + m.name + m.data;
  }
  const auto begin = static_cast<uint32_t>(out.size());
  const auto count = static_cast<uint16_t>(members.size());
  return out + directory + "PK\5\6" + little<uint32_t>(0) + little(count) + little(count) +
         little(static_cast<uint32_t>(directory.size())) + little(begin) + little<uint16_t>(0);
}

/// The smaller opcodes of pickle protocol 2.
namespace pickle {
inline std::string text(const std::string& value) {
  return "X" + little(static_cast<uint32_t>(value.size())) + value;
}
inline std::string number(int64_t value) {
  return "\x8a\x08" + little(value);
}
inline std::string numbers(const std::vector<int64_t>& values) {
  std::string out = "(";
  for (const auto value : values) out += number(value);
  return out + "t";
}
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string storage(const std::string& type, const std::string& key, int64_t numel, bool legacy = false) {
  return "(" + text("storage") + global("torch", type) + text(key) + text("cpu") + number(numel) + (legacy ? "N" : "") +
         "tQ";
}
inline std::string tensor(const std::string& a_storage, int64_t offset, const std::vector<int64_t>& shape,
                          const std::vector<int64_t>& strides) {
  return global("torch._utils", "_rebuild_tensor_v2") + "(" + a_storage + number(offset) + numbers(shape) +
         numbers(strides) + "\x89" + global("collections", "OrderedDict") + ")RtR";
}
inline std::string dict(const std::map<std::string, std::string>& items) {
  std::string out = "}(";
  for (const auto& [key, value] : items) out += text(key) + value;
  return out + "u";
}
inline std::string whole(const std::string& body) {
  return "\x80\x02" + body + ".";
}
}  // namespace pickle

/// A zip torch file with this value and one storage "0" of these bytes.
inline std::string torch_zip(const std::string& value, const std::string& storage = std::string(24, '\0')) {
  return zip_bytes({{"a/data.pkl", pickle::whole(value)}, {"a/data/0", storage}, {"a/version", "3\n"}});
}

/// A legacy torch file with this value and float storages by key.
inline std::string torch_legacy(const std::string& value, const std::map<std::string, std::vector<float>>& storages) {
  std::string out("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  out += pickle::whole("M\xe9\x03") + pickle::whole(pickle::dict({{"little_endian", "\x88"}})) + pickle::whole(value);
  std::string keys = "](", data;
  for (const auto& [key, values] : storages) {
    keys += pickle::text(key);
    data += little(static_cast<int64_t>(values.size()));
    for (const float v : values) data += little(v);
  }
  return out + pickle::whole(keys + "e") + data;
}

}  // namespace sdg::test
