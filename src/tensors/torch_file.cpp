#include "sdg/tensors/torch_file.h"
#include "sdg/io/file_kind.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "io/posix_impl.h"
#include "io/zip_impl.h"
#include "sdg/core/error.h"
#include "tensors/npy_impl.h"
#include "tensors/pickle_impl.h"

static_assert(std::endian::native == std::endian::little, "storages are little-endian and are mapped as they are");

namespace sdg::tensors {
namespace {

constexpr size_t kMaxPickle = 64U << 20;  // bytes; a pickle holds names and numbers, tensors stand beside it
constexpr size_t kMaxNote = 1U << 20;
// The pickled number 0x1950a86a20f9469cfc6c that opens a legacy file, after the protocol.
constexpr std::string_view kLegacyMagic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 13);
constexpr std::string_view kLegacyMagicText("L119547037146038801333356L\n.");  // the same in protocols 0 and 1
constexpr int64_t kMaxVersion = 10;                                            // of the zip, as torch knows it

std::string_view as_text(std::span<const std::byte> bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Extent {
  std::span<std::byte> bytes;
  bool checked = false;  // BOOL storages hold only 0 and 1
  Tensor aligned;        // the same bytes copied to an aligned place, where that was needed
};

// Bytes of a storage; refuses sizes that overflow.
uint64_t storage_bytes(const TorchValue::Storage& storage, const std::string& where) {
  int64_t bytes = 0;
  SDG_CHECK(storage.numel >= 0 &&
                !__builtin_mul_overflow(storage.numel, static_cast<int64_t>(c10::elementSize(storage.dtype)), &bytes),
            where, ": storage ", storage.key, " claims ", storage.numel, " elements");
  return static_cast<uint64_t>(bytes);
}

// ("storage", class, key, device, numel[, view]): the rest of the storage's place is the container's matter.
TorchValue::Storage parse_storage(const TorchValue& id, ValuePool& pool) {
  const auto& where = pool.where();
  const auto* parts = id.get<TorchValue::List>();
  SDG_CHECK(
      parts && parts->size() >= 5 && (*parts)[0]->get<std::string>() && *(*parts)[0]->get<std::string>() == "storage",
      where, ": its pickle refers to something else than storages");
  auto storage = storage_of(*(*parts)[1]);
  const auto* key = (*parts)[2]->get<std::string>();
  const auto* numel = (*parts)[4]->get<int64_t>();
  SDG_CHECK(storage && key && numel && key->size() <= 1000, where,
            ": its pickle describes a storage in an unknown way");
  SDG_CHECK(parts->size() < 6 || (*parts)[5]->get<std::monostate>(), where, ": storage ", *key,
            " is a view of another storage, which is not read");
  storage->key = *key;
  storage->numel = *numel;
  storage_bytes(*storage, where);  // whatever is worked out from it later fits
  return *storage;
}

std::string some_names(const std::map<std::string, io::ZipMember>& members) {
  std::string out;
  size_t shown = 0;
  for (const auto& [name, unused] : members) {
    if (++shown > 3) break;
    out += (out.empty() ? "" : ", ") + name.substr(0, 60);
  }
  return members.empty() ? "nothing" : members.size() > 3 ? cat(out, " and ", members.size() - 3, " more") : out;
}

// A NumPy array, whose bytes stand in the pickle.
Tensor copied_array(const StoredTensor& stored) {
  const bool is_bool = stored.dtype == at::kBool;  // any other byte than 0 and 1 would be undefined behaviour
  const auto options = at::TensorOptions().dtype(is_bool ? at::kByte : stored.dtype);
  Tensor out = at::empty_strided(stored.shape, stored.strides, options);
  if (out.numel() == 0) return out.to(stored.dtype);
  const std::span<std::byte> bytes(static_cast<std::byte*>(out.mutable_data_ptr()), stored.bytes->size());
  std::memcpy(bytes.data(), stored.bytes->data(), bytes.size());
  if (stored.is_big_endian) swap_bytes(bytes, stored.dtype);
  return is_bool ? out.ne(0) : out;
}

// ("module", class, file, source): what the format before PyTorch 1.6 puts around the classes of modules.
TorchValue* module_class(const TorchValue& id, ValuePool& pool) {
  const auto* parts = id.get<TorchValue::List>();
  const auto* kind = parts && parts->size() == 4 ? (*parts)[0]->get<std::string>() : nullptr;
  const auto* type = kind && *kind == "module" ? (*parts)[1]->get<TorchValue::Object>() : nullptr;
  return type ? make_global(pool, type->name) : nullptr;
}

// What a pickle without storages refers to.
TorchValue* no_storage(const std::string& where) {
  throw Error(cat(where, ": damaged: it refers to a storage where none can be"));
}

}  // namespace

struct TorchFile::State {
  explicit State(const std::filesystem::path& path)
      : where(path.string()), file(std::make_shared<io::MappedFile>(path)), pool(where) {}

  void open_zip();
  void open_legacy();
  void open_pickle();
  const Extent& extent(const StoredTensor& stored);
  void charge_copy(const StoredTensor& stored);

  std::string where;
  std::shared_ptr<io::MappedFile> file;
  ValuePool pool;
  const TorchValue* root = nullptr;
  std::map<std::string, Extent> storages;
  std::map<std::string, std::string> notes;
  TorchContainer container = TorchContainer::kZip;
  uint64_t copied = 0;  // bytes of tensors that are no views
};

// {prefix}/data.pkl, {prefix}/data/{key}, {prefix}/byteorder
void TorchFile::State::open_zip() {
  std::map<std::string, io::ZipMember> members;
  for (auto& member : io::zip_members(file->bytes(), where)) members.emplace(member.name, std::move(member));
  std::string prefix;
  bool found = false;
  for (const auto& [name, unused] : members) {
    const bool is_pickle = name == "data.pkl" || name.ends_with("/data.pkl");
    if (!is_pickle) continue;
    SDG_CHECK(!found, where, ": holds two data.pkl");
    prefix = name.substr(0, name.size() - std::string_view("data.pkl").size());
    found = true;
  }
  SDG_CHECK(found, where, ": a zip without data.pkl is no torch file; it holds ", some_names(members));
  SDG_CHECK(!members.contains(prefix + "constants.pkl"), where,
            ": a TorchScript program; save the state dict of the module to read its weights");
  const auto small = [&](const std::string& name) {
    const auto found = members.find(prefix + name);
    return found == members.end() ? std::string() : std::string(as_text(io::stored_bytes(found->second, where)));
  };
  const auto order = small("byteorder"), version = small("version");
  SDG_CHECK(order.empty() || order == "little", where, ": is not little-endian");
  const auto number = pickled_int(version.substr(0, version.find_last_not_of(" \r\n") + 1));
  SDG_CHECK(version.empty() || (number && *number <= kMaxVersion), where, ": is of torch's file version ",
            number ? std::to_string(*number) : "unknown", "; known are those up to ", kMaxVersion);
  const auto extra = prefix + "extra/";
  for (const auto& [name, member] : members) {
    if (name.starts_with(extra) && member.method == 0 && !member.is_encrypted && member.packed.size() <= kMaxNote)
      notes[name.substr(extra.size())] = as_text(io::stored_bytes(member, where));
  }
  std::span<const std::byte> pickle = io::stored_bytes(members.at(prefix + "data.pkl"), where);
  SDG_CHECK(pickle.size() <= kMaxPickle, where, ": its data.pkl has ", pickle.size(), " bytes, the limit is ",
            kMaxPickle);
  root = read_pickle(pickle, pool, [&](const TorchValue& id) {
    auto storage = parse_storage(id, pool);
    const auto member = members.find(cat(prefix, "data/", storage.key));
    SDG_CHECK(member != members.end(), where, ": lacks storage ", storage.key);
    const auto expected = storage_bytes(storage, where);
    const auto bytes = io::stored_bytes(member->second, where);
    SDG_CHECK(bytes.size() == expected, where, ": storage ", storage.key, " should have ", expected, " bytes (",
              storage.numel, " of ", c10::toString(storage.dtype), "), it has ", bytes.size());
    storages.try_emplace(storage.key, Extent{bytes, false, {}});
    return pool.make(std::move(storage));
  });
}

// Pickles one after the other: magic number, version, system, the object, the keys of the storages in order; then for
// each key the number of elements and the bytes.
void TorchFile::State::open_legacy() {
  container = TorchContainer::kLegacy;
  std::span<const std::byte> rest = file->bytes();
  const auto none = [&](const TorchValue&) { return no_storage(where); };
  const auto bounded = [&](const auto& persistent) {
    auto part = rest.first(std::min(rest.size(), kMaxPickle));
    const auto before = part.size();
    const auto* value = read_pickle(part, pool, persistent);
    rest = rest.subspan(before - part.size());
    return value;
  };
  bounded(none);
  const auto* version = bounded(none)->get<int64_t>();
  SDG_CHECK(version && *version == 1001, where, ": legacy torch file of an unknown version");
  const auto* system = bounded(none)->find("little_endian");
  SDG_CHECK(!system || !system->get<bool>() || *system->get<bool>(), where, ": is not little-endian");

  std::map<std::string, TorchValue::Storage> described;
  root = bounded([&](const TorchValue& id) {
    if (auto* type = module_class(id, pool)) return type;
    auto storage = parse_storage(id, pool);
    const auto [known, is_new] = described.try_emplace(storage.key, storage);
    SDG_CHECK(is_new || (known->second.numel == storage.numel && known->second.dtype == storage.dtype), where,
              ": storage ", storage.key, " is described in two ways");
    return pool.make(std::move(storage));
  });
  const auto* keys = bounded(none)->get<TorchValue::List>();
  SDG_CHECK(keys != nullptr, where, ": damaged torch file: no list of storages");
  std::span<std::byte> data = file->bytes().last(rest.size());
  for (const auto* item : *keys) {
    const auto* key = item->get<std::string>();
    const auto found = key ? described.find(*key) : described.end();
    SDG_CHECK(found != described.end(), where, ": damaged torch file: its list names a storage that no tensor uses");
    const auto size = storage_bytes(found->second, where);
    int64_t numel = 0;
    SDG_CHECK(data.size() >= sizeof(numel) && data.size() - sizeof(numel) >= size, where, ": truncated: storage ", *key,
              " needs ", size, " bytes, ", data.size(), " are left");
    std::memcpy(&numel, data.data(), sizeof(numel));
    const bool agrees = found->second.typed ? numel == found->second.numel : numel >= 0;
    SDG_CHECK(agrees, where, ": storage ", *key, " has ", numel, " elements, its tensors expect ", found->second.numel);
    SDG_CHECK(storages.try_emplace(*key, Extent{data.subspan(sizeof(numel), size), false, {}}).second, where,
              ": storage ", *key, " comes twice");
    data = data.subspan(sizeof(numel) + size);
  }
  for (const auto& [key, unused] : described) SDG_CHECK(storages.contains(key), where, ": lacks storage ", key);
}

void TorchFile::State::open_pickle() {
  container = TorchContainer::kPickle;
  std::span<const std::byte> rest = file->bytes();
  SDG_CHECK(rest.size() <= kMaxPickle, where, ": a pickle of ", rest.size(), " bytes, the limit is ", kMaxPickle);
  root = read_pickle(rest, pool, [&](const TorchValue&) { return no_storage(where); });
  SDG_CHECK(rest.empty(), where, ": ", rest.size(), " bytes after the end of its pickle");
}

// The storage's bytes at a place where the type may stand.
const Extent& TorchFile::State::extent(const StoredTensor& stored) {
  auto& extent = storages.at(stored.storage);
  if (stored.dtype == at::kBool && !extent.checked) {
    const auto bad =
        std::find_if(extent.bytes.begin(), extent.bytes.end(), [](std::byte b) { return b > std::byte{1}; });
    SDG_CHECK(bad == extent.bytes.end(), where, ": storage ", stored.storage, ": bools must be 0 or 1, got ",
              std::to_integer<int>(*bad));
    extent.checked = true;
  }
  const bool misplaced = std::bit_cast<uintptr_t>(extent.bytes.data()) % c10::elementSize(stored.dtype) != 0;
  if (misplaced && !extent.aligned.defined()) {
    extent.aligned = at::empty({static_cast<int64_t>(extent.bytes.size())}, at::kByte);
    std::memcpy(extent.aligned.mutable_data_ptr(), extent.bytes.data(), extent.bytes.size());
  }
  return extent;
}

// Any number of tensors may refer to the same bytes: as views they cost nothing, as copies they are counted.
void TorchFile::State::charge_copy(const StoredTensor& stored) {
  constexpr uint64_t kFree = 256U << 20, kTimes = 4;
  uint64_t bytes = c10::elementSize(stored.dtype);
  for (const auto extent : stored.shape) bytes *= static_cast<uint64_t>(extent);
  copied += bytes;
  SDG_CHECK(copied <= kFree + kTimes * file->bytes().size(), where, ": its tensors are copies of the same bytes, ",
            copied, " in all: this is no checkpoint");
}

bool looks_like_zip(std::string_view first_bytes) {
  return first_bytes.starts_with("PK\x03\x04");
}
bool looks_like_legacy_torch(std::string_view first_bytes) {
  if (first_bytes.starts_with(kLegacyMagicText)) return true;
  constexpr size_t kProtocol = 2, kFrame = 9;  // bytes; protocol 4 puts a frame around the number
  if (!first_bytes.starts_with('\x80') || first_bytes.size() < kProtocol + kFrame) return false;
  first_bytes.remove_prefix(kProtocol);
  if (first_bytes.starts_with('\x95')) first_bytes.remove_prefix(kFrame);
  return first_bytes.starts_with(kLegacyMagic);
}

bool looks_like_pickle(std::string_view first_bytes) {
  return first_bytes.size() > 1 && first_bytes[0] == '\x80' && first_bytes[1] >= 2 && first_bytes[1] <= 5;
}

TorchFile::TorchFile(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {
  const auto start = as_text(state_->file->bytes());
  if (looks_like_zip(start)) {
    state_->open_zip();
  } else if (looks_like_legacy_torch(start)) {
    state_->open_legacy();
  } else {
    SDG_CHECK(looks_like_pickle(start), state_->where, ": neither a zip nor a legacy torch file nor a pickle",
              io::what_it_is(start.substr(0, 1024), start.size()));
    state_->open_pickle();
  }
}
TorchFile::~TorchFile() = default;
TorchFile::TorchFile(TorchFile&&) noexcept = default;
TorchFile& TorchFile::operator=(TorchFile&&) noexcept = default;

const TorchValue& TorchFile::root() const {
  return *state_->root;
}
std::map<std::string, std::string> TorchFile::notes() const {
  return state_->notes;
}
TorchContainer TorchFile::container() const {
  return state_->container;
}

Tensor TorchFile::tensor(const StoredTensor& stored) const {
  if (stored.bytes || stored.is_negative || stored.is_conjugate) state_->charge_copy(stored);
  if (stored.bytes) return copied_array(stored);
  const auto options = at::TensorOptions().dtype(stored.dtype);
  if (std::find(stored.shape.begin(), stored.shape.end(), 0) != stored.shape.end())
    return at::empty(stored.shape, options);
  const auto& extent = state_->extent(stored);
  const bool moved =
      extent.aligned.defined() && std::bit_cast<uintptr_t>(extent.bytes.data()) % c10::elementSize(stored.dtype) != 0;
  auto* start = moved ? static_cast<std::byte*>(extent.aligned.mutable_data_ptr()) : extent.bytes.data();
  start += stored.offset * static_cast<int64_t>(c10::elementSize(stored.dtype));
  const auto keep = moved ? std::shared_ptr<void>(std::make_shared<Tensor>(extent.aligned)) : state_->file;
  Tensor out = at::from_blob(start, stored.shape, stored.strides, [keep](void*) {}, options);
  if (stored.is_conjugate) out = at::conj_physical(out);
  return stored.is_negative ? at::neg(out) : out;
}

}  // namespace sdg::tensors
